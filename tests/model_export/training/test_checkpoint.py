"""Checkpoints."""

from pathlib import Path

import pytest
import torch

from model_export.errors import DataError
from model_export.training.checkpoint import load_checkpoint


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    torch.save({"config": {}, "weights": {}}, tmp_path / "old.pt")
    with pytest.raises(
        DataError, match=r"written by another version: it has \['weights'\] and lacks \['averaged'"
    ):
        load_checkpoint(tmp_path / "old.pt")
