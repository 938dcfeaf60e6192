"""Checkpoints."""

from pathlib import Path

import pytest
import torch

from model_export.errors import DataError
from model_export.training import checkpoint as checkpoints


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    torch.save({"config": {}, "weights": {}}, tmp_path / "old.pt")
    with pytest.raises(
        DataError, match=r"written by another version: it has \['weights'\] and lacks \['averaged'"
    ):
        checkpoints.load(tmp_path / "old.pt")
