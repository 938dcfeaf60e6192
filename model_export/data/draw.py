"""``draw``: drawn strips in Kaggle's layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.kaggle import read_labels, write_kaggle
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import ShapedStrip, drawn_strips
from model_export.errors import DataError, check_least
from service.errors import counted


@dataclass(frozen=True)
class DrawConfig:
    """Draw strips with exact masks into a folder in Kaggle's layout, to try commands without a data set."""

    out: Path
    """Folder for train.csv and train_images/."""
    count: int = 20
    """Number of strips; every fifth is clean."""
    seed: int = 2026
    """The same seed draws the same strips."""
    shapes: Path | None = None
    """A train.csv from whose masks the defects take shape, position and size, for pre-training; its images
    are not needed."""


def draw(config: DrawConfig) -> None:
    """Draw strips into a folder in Kaggle's layout.

    Raises:
        OptionError: if an option cannot be.
        DataError: if there is no label file for --shapes, or it holds too few strips.
    """
    check_least("--count", config.count, 1)
    check_least("--seed", config.seed, 0)
    strips: Sequence[LabelledStrip] = drawn_strips(config.count, config.seed)
    if config.shapes is not None:
        strips = _shaped_strips(config.shapes, config.count, config.seed)
    write_kaggle(strips, config.out, "drawing")
    print(f"drew {counted(config.count, 'strip')} into {config.out}")


def _shaped_strips(path: Path, count: int, seed: int) -> list[LabelledStrip]:
    """Choose strips of a label file at random; every fifth gets no defect.

    Raises:
        DataError: if there is no such file or it holds fewer than ``count`` strips.
    """
    if not path.is_file():
        raise DataError(f"there is no label file at {path}")
    labels = read_labels(path)
    names = sorted(labels)
    if len(names) < count:
        raise DataError(f"{path} has masks of {len(names)} strips, fewer than --count {count}")
    chosen = np.random.default_rng(seed).permutation(len(names))[:count].tolist()
    return [
        ShapedStrip(names[index], tuple(labels[names[index]] if number % 5 else ("",) * 4), seed)
        for number, index in enumerate(chosen)
    ]
