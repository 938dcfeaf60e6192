"""Checkpoints."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.severstal import CLASSES
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.training.checkpoint import load_checkpoint
from model_export.training.train import train
from tests.support.quick_training import TINY


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    torch.save({"config": {}, "weights": {}}, tmp_path / "old.pt")
    with pytest.raises(
        DataError, match=r"written by another version: it has \['weights'\] and lacks \['averaged'"
    ):
        load_checkpoint(tmp_path / "old.pt")


def test_a_checkpoint_from_before_classes_had_names_is_of_severstals(tmp_path: Path) -> None:
    path = train(replace(TINY, epochs=1, out=tmp_path))
    plain = torch.load(path, weights_only=True)
    assert plain.pop("classes")[1]["name"] == "vertical line"
    assert plain.pop("tile") == [256, 1600, False]
    torch.save(plain, path)
    state = load_checkpoint(path)
    assert state.classes == CLASSES
    assert state.tile == Tile(256, 1600)
