"""Training: learning rate, start from another training, early stopping, options."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.data.split import split_fold
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError
from model_export.network.steel_network import NetworkConfig
from model_export.training.checkpoint import load_checkpoint
from model_export.training.optimization import learning_rate_factor
from model_export.training.train import train
from tests.support.quick_training import TINY


@pytest.mark.slow
def test_training_starts_from_another_and_stops_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(replace(TINY, out=tmp_path / "first", epochs=1))
    config = replace(
        TINY,
        out=tmp_path / "second",
        start_from=first,
        epochs=30,
        patience=1,
        validate_every=1,
        learning_rate=0.0,
    )
    second = load_checkpoint(train(config))
    assert "stopped: no better score in 1 validations" in capsys.readouterr().out
    assert load_checkpoint(train(replace(config, resume=True))).epoch == second.epoch
    assert "epoch" not in capsys.readouterr().out
    for name, tensor in load_checkpoint(first).averaged.items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(second.averaged[name], tensor, msg=name)
    other = replace(config, out=tmp_path / "third", network=NetworkConfig())
    with pytest.raises(DataError, match="holds another network"):
        train(other)


def test_early_stopping_needs_strips_to_go_by(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with --fold there are none"):
        train(replace(TINY, out=tmp_path, fold=1, patience=1))


def test_options_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--whole-epochs 3 is more than --epochs 2"):
        train(replace(TINY, out=tmp_path, whole_epochs=3))
    with pytest.raises(DataError, match="--fold needs photographed strips"):
        train(replace(TINY, out=tmp_path, fold=1))
    with pytest.raises(ValueError, match="do not fill 6 folds"):
        split_fold(drawn_strips(3, 0), 6, 1, seed=0)
    draw(DrawConfig(out=tmp_path / "data", count=8))
    greedy = replace(TINY, data=tmp_path / "data", out=tmp_path, folds=3, drawn_share=0.7, pasted_share=0.4)
    with pytest.raises(ValueError, match="add up to more than 1"):
        train(greedy)


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1
    assert factors[100] == pytest.approx(0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
