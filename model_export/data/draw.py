"""``draw``: drawn strips of Severstal's kinds, or of a mill with other classes, in Kaggle's layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data import severstal
from model_export.data.classes import Classes, check_classes
from model_export.data.drawn_mill import MillStrip
from model_export.data.kaggle import read_labels, write_kaggle
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.options import TileOption
from model_export.data.synthetic import ShapedStrip, drawn_strips
from model_export.errors import DataError, OptionError, check_least
from service.errors import counted
from service.model.metadata import DefectClass


@dataclass(frozen=True)
class DrawConfig:
    """Draw strips with exact masks into a folder in Kaggle's layout, to try commands without a data set."""

    out: Path
    """Folder for train.csv and train_images/."""
    count: int = 20
    """Number of strips; every fifth is clean, but for rare classes."""
    seed: int = 2026
    """The same seed draws the same strips."""
    shapes: Path | None = None
    """A train.csv from whose masks the defects take shape, position and size, for pre-training; its images
    are not needed."""
    class_names: tuple[str, ...] = ()
    """Names of the 1 to 32 classes of another mill to draw instead of Severstal's."""
    size: TileOption = None
    """Rows and columns of its images; default: Severstal's."""
    rare: int = 0
    """How many of its classes, the last ones, show on few images only."""


def draw(config: DrawConfig) -> None:
    """Draw strips into a folder in Kaggle's layout.

    Raises:
        OptionError: if an option cannot be, by itself or beside the others.
        DataError: if there is no label file for --shapes, or it holds too few strips.
    """
    check_least("--count", config.count, 1)
    check_least("--seed", config.seed, 0)
    classes: Classes = severstal.CLASSES
    strips: Sequence[LabelledStrip] = drawn_strips(config.count, config.seed)
    if config.shapes is not None:
        if config.class_names:
            raise OptionError("--shapes are of Severstal's classes: expected no --class-names beside them")
        strips = _shaped_strips(config.shapes, config.count, config.seed)
    elif config.class_names:
        named = [DefectClass(id=number, name=name) for number, name in enumerate(config.class_names, 1)]
        classes = check_classes(named, "--class-names")
        strips = _mill_strips(config, len(classes))
    elif config.size is not None or config.rare:
        raise OptionError("--size and --rare are of another mill: name its classes with --class-names")
    write_kaggle(strips, config.out, "drawing", classes)
    print(f"drew {counted(config.count, 'strip')} into {config.out}")


def _mill_strips(config: DrawConfig, count: int) -> list[MillStrip]:
    shape = config.size or (severstal.HEIGHT, severstal.WIDTH)
    if not 0 <= config.rare <= count:
        raise OptionError(f"--rare: expected 0 to {count}, the number of classes, got {config.rare}")
    if min(shape) < 32:
        raise OptionError(f"--size: expected 32 or more rows and columns, got {shape[0]} {shape[1]}")
    return [MillStrip(config.seed, number, shape, count, config.rare) for number in range(config.count)]


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
