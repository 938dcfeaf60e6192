"""The data generator's memory does not grow with the data set."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from model_export.data.dataset import StripDataset
from model_export.data.kaggle import KaggleStrip

STATM = Path("/proc/self/statm")


def resident_megabytes() -> float:
    return int(STATM.read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux' /proc")
def test_memory_stays_flat_over_an_epoch(tmp_path: Path) -> None:
    """1,200 strips, 3 MB each with their masks: held in memory they would take 2.4 GB."""
    path = tmp_path / "strip.jpg"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (256, 1600), dtype=np.uint8)).save(path)
    strips = [KaggleStrip(path, ("1 5000", "", "9999 10", "")) for _ in range(1200)]
    loader = DataLoader(StripDataset(strips, crop=(256, 512)), batch_size=8)
    sizes = [resident_megabytes() for _ in loader]
    assert sizes[-1] - sizes[19] < 40, f"grew from {sizes[19]:.0f} to {sizes[-1]:.0f} MB"
