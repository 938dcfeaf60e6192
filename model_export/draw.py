"""Drawn strips on disk, in Kaggle's layout."""

import csv
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from model_export.synthetic import drawn_strips
from service import rle


@dataclass(frozen=True)
class DrawConfig:
    """Draw strips with exact masks into a folder in Kaggle's layout, to try things without a data set."""

    out: Path
    """Folder for train.csv and train_images/."""
    count: int = 20
    """How many; every fifth is clean."""
    seed: int = 2026
    """Strips of one seed are always the same."""


def draw(config: DrawConfig) -> None:
    """Draw strips into a folder in Kaggle's layout."""
    images = config.out / "train_images"
    images.mkdir(parents=True, exist_ok=True)
    rows = [["ImageId", "ClassId", "EncodedPixels"]]
    for drawn in tqdm(drawn_strips(config.count, config.seed), "drawing", unit="strip", dynamic_ncols=True):
        strip, masks = drawn.load()
        Image.fromarray(strip).save(images / drawn.name)
        rows += [[drawn.name, str(k), rle.encode(masks[k - 1].T)] for k in sorted(drawn.classes)]
    with (config.out / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    print(f"drew {config.count} strips into {config.out}")
