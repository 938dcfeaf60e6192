"""Starting points: small, they start a training, and still say what they saw."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.errors import DataError
from model_export.training.checkpoint import load_checkpoint
from model_export.training.starting_point import StartingPointConfig, starting_point
from model_export.training.train import train
from tests.support.quick_training import TINY


def test_a_starting_point_starts_a_training(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=4))
    first = train(replace(TINY, data=tmp_path / "data", fold=0, folds=2, epochs=1, out=tmp_path / "first"))
    config = StartingPointConfig(checkpoint=first, out=tmp_path / "start.pt")
    starting_point(config)
    assert config.out.stat().st_size < first.stat().st_size / 3
    own = replace(TINY, epochs=1, learning_rate=0.0, start_from=config.out, out=tmp_path / "own")
    before, after = load_checkpoint(first), load_checkpoint(train(own))
    assert after.seen == before.seen
    for name, tensor in before.averaged.items():
        if "running" not in name and "tracked" not in name and "layer4" not in name:
            torch.testing.assert_close(after.averaged[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    with pytest.raises(DataError, match=r"start\.pt saw 2 of the 2 strips that are held out"):
        train(replace(own, data=tmp_path / "data", fold=1, folds=2, out=tmp_path / "unfair"))
    with pytest.raises(DataError, match="exists: expected another --out"):
        starting_point(config)
