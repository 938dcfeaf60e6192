"""The network that a training starts from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.data.severstal import CLASSES
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.network.steel_network import SteelNetwork
from model_export.training.checkpoint import load_checkpoint
from model_export.training.initial_network import build_network
from model_export.training.train import train
from service.model.metadata import DefectClass
from tests.support.quick_training import TINY

OTHERS = (DefectClass(id=1, name="oil"), DefectClass(id=2, name="hole"))


@pytest.fixture(scope="module")
def severstals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(replace(TINY, epochs=1, out=tmp_path_factory.mktemp("run")))


def test_a_start_of_other_classes_gives_all_but_the_last_layers(
    severstals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = load_checkpoint(severstals)
    config = replace(TINY, start_from=severstals)
    same = build_network(config, [], state.split, CLASSES, Tile(256, 1600))
    assert capsys.readouterr().out == ""
    other = build_network(config, [], state.split, OTHERS, Tile(64, 64))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("its encoder and decoder are taken, the last layers begin anew")
    own = set(other.class_layers())
    assert {name.rpartition(".")[0] for name in own} == {"segmentation_head", "classification_head.3"}
    for name, tensor in other.state_dict().items():
        if name in own:
            assert tensor.shape[0] == 2
        else:
            torch.testing.assert_close(tensor, same.state_dict()[name])


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_the_last_layers_are_those_whose_size_is_the_number_of_classes(decoder: str) -> None:
    networks = [SteelNetwork(replace(TINY.network, decoder=decoder), classes=count) for count in (2, 5)]
    few, many = (network.state_dict() for network in networks)
    assert {name for name in few if few[name].shape != many[name].shape} == set(networks[0].class_layers())


def test_a_teacher_of_other_classes_is_refused(severstals: Path, tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=6, class_names=("oil", "hole"), size=(64, 64)))
    pupil = replace(
        TINY, data=tmp_path / "data", fold=0, folds=2, out=tmp_path / "run", teacher=(severstals,)
    )
    with pytest.raises(
        DataError, match=r"cannot teach: expected a model of the classes 1 oil, 2 hole, got one"
    ):
        train(pupil)
