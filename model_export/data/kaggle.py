"""Labelled strips in Kaggle's layout: ``train.csv`` beside ``train_images/``."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from model_export.data import severstal
from model_export.data.classes import Classes, read_classes, write_classes
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.tile import Shape
from model_export.errors import DataError
from service.errors import ServiceError, counted
from service.files import whole_file
from service.geometry import BitDepth, Strip
from service.images.decode import FORMATS, SIXTEEN_BIT, decode
from service.images.orientation import stored_size
from service.images.suffixes import IMAGE_SUFFIXES
from service.masks import rle

_MAX_PIXELS = 2**26
"""Of an image, by its header: 16384x4096 and the like."""
_MAX_CODE = 2**28
"""Characters of a run-length code; Python's default, 131,072, is less than a frame of many spots has."""


@dataclass(frozen=True)
class KaggleStrip:
    """An image file and the run-length codes of its masks."""

    path: Path
    rles: tuple[str, ...]
    """One per class, in order; empty where the class is not there."""
    bits: BitDepth | None = None
    """Of a pixel, if the file has 16 bits."""
    shape: Shape = (severstal.HEIGHT, severstal.WIDTH)
    """Rows and columns, by the header of the file."""

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the strip."""
        return frozenset(index for index, code in enumerate(self.rles) if code)

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip and its masks.

        Raises:
            DataError: naming the file, if it is no longer as it was when it was listed.
        """
        # The masks stay column-major in memory, as decoded: a copy in row order would cost more than
        # decoding the image.
        image = read_image(self.path, self.bits)
        if image.shape != self.shape:
            raise DataError(
                f"{self.path} has changed: expected {self.shape} rows and columns, got {image.shape}"
            )
        height, width = self.shape
        columns = np.stack([rle.decode(code, height=height, width=width) for code in self.rles])
        return image, columns.transpose(0, 2, 1)


def read_image(path: Path, bits: BitDepth | None = None) -> Strip:
    """Decode an image file as the service does.

    Args:
        path: of the file.
        bits: of a pixel in 16-bit files; None expects all 16 in use.

    Raises:
        DataError: naming the file, if the service would refuse it.
    """
    try:
        return _decode(path, bits)
    except (OSError, ServiceError) as error:
        raise DataError(f"{path}: {error}") from error


def _decode(path: Path, bits: BitDepth | None) -> Strip:
    return decode(path.read_bytes(), max_pixels=_MAX_PIXELS, bits=None if bits is None else int(bits))


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def read_labels(path: Path, classes: Classes = severstal.CLASSES) -> dict[str, list[str]]:
    """Read ``train.csv`` in either of Kaggle's forms into a run-length code for each class of an image.

    The forms are ``ImageId,ClassId,EncodedPixels`` with a row per mask, and the older
    ``ImageId_ClassId,EncodedPixels`` with a row for each class of an image, empty where there is no mask.

    Raises:
        DataError: naming the line, if a row is invalid.
    """
    positions = {str(kind.id): position for position, kind in enumerate(classes)}
    labels: dict[str, list[str]] = {}
    previous = csv.field_size_limit(_MAX_CODE)
    try:
        with _open(path, "r") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            new, old = {"ImageId", "ClassId", "EncodedPixels"}, {"ImageId_ClassId", "EncodedPixels"}
            if not (new <= columns or old <= columns):
                raise DataError(f"{path}: expected the columns {sorted(new)}, got {sorted(columns)}")
            for row in reader:
                if new <= columns:
                    name, class_text = row["ImageId"], row["ClassId"]
                else:
                    name, _, class_text = row["ImageId_ClassId"].rpartition("_")
                if class_text not in positions or not name:
                    raise DataError(
                        f"{path}, line {reader.line_num}: expected a class {_listed_ids(classes)}, got "
                        f"{class_text!r}"
                    )
                codes = labels.setdefault(name, [""] * len(classes))
                index = positions[class_text]
                if codes[index]:
                    raise DataError(
                        f"{path}, line {reader.line_num}: {name} has a second mask of class {class_text}"
                    )
                codes[index] = (row["EncodedPixels"] or "").strip()
    finally:
        csv.field_size_limit(previous)  # it holds for the whole process
    return labels


def _listed_ids(classes: Classes) -> str:
    ids = [kind.id for kind in classes]
    if len(ids) > 2 and ids == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]} to {ids[-1]}"
    return " or ".join(map(str, ids))


def read_kaggle(folder: Path, *, bits: BitDepth | None = None, skip_bad: bool = False) -> list[KaggleStrip]:
    """List the strips of ``folder/train_images`` with the labels of ``folder/train.csv``.

    Their classes are those of ``classes.read_classes``. An image without a row is a clean strip. Only headers
    are read here, pixels later; 16-bit images are decoded here, since only their pixels say whether ``bits``
    fits them.

    Args:
        folder: in Kaggle's layout.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
        skip_bad: whether to print and leave out what cannot be used.

    Raises:
        DataError: naming every image that is missing, unreadable, of other bits or has an invalid mask; with
            ``skip_bad`` these are printed and left out.
    """
    images = folder / "train_images"
    if not (folder / "train.csv").is_file() or not images.is_dir():
        raise DataError(f"{folder} is not in Kaggle's layout: expected train.csv and train_images/ in it")
    classes = read_classes(folder)
    labels = read_labels(folder / "train.csv", classes)
    names = {path.name for path in list_images(images)}
    problems = dict.fromkeys(labels.keys() - names, "named in train.csv, but not in train_images/")
    shapes: dict[str, Shape] = {}
    for name in names:
        try:
            shapes[name] = read_shape(images / name, bits)
        except DataError as error:
            problems[name] = str(error)
    for name in labels.keys() & shapes.keys():
        height, width = shapes[name]
        for kind, code in zip(classes, labels[name], strict=True):
            try:
                rle.decode(code, height=height, width=width)
            except rle.RleError as error:
                problems[name] = f"the mask of class {kind.id} is invalid: {error}"
    if problems:
        report = "\n".join(f"  {name}: {problem}" for name, problem in sorted(problems.items()))
        if not skip_bad:
            raise DataError(
                f"{counted(len(problems), 'image')} of {folder} cannot be used (--skip-bad leaves out such):"
                f"\n{report}"
            )
        print(f"left out {counted(len(problems), 'image')} of {folder}:\n{report}")
    empty = [""] * len(classes)
    strips = [
        KaggleStrip(images / name, tuple(labels.get(name, empty)), bits, shapes[name])
        for name in sorted(names - problems.keys())
    ]
    if not strips:
        raise DataError(f"{images} holds no usable image")
    return strips


def write_kaggle(
    strips: Sequence[LabelledStrip], folder: Path, title: str, classes: Classes = severstal.CLASSES
) -> None:
    """Write strips to ``folder/train_images``, their masks to ``train.csv`` and classes to ``classes.json``.

    Args:
        strips: what to write.
        folder: created if it is missing.
        title: of the progress bar.
        classes: of the masks; Severstal's are not written, since a folder that names none has them.
    """
    images = folder / "train_images"
    images.mkdir(parents=True, exist_ok=True)
    labels: dict[str, list[str]] = {}
    for labelled in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        strip, masks = labelled.load()
        Image.fromarray(strip).save(images / labelled.name)
        labels[labelled.name] = [rle.encode(mask.T) for mask in masks]
    if classes != severstal.CLASSES:
        write_classes(classes, folder)
    write_labels(labels, folder / "train.csv", classes)


def write_labels(
    labels: Mapping[str, Sequence[str]], path: Path, classes: Classes = severstal.CLASSES
) -> None:
    """Write a run-length code for each class of an image in the form of ``read_labels``, a row per mask."""
    rows = [
        (name, kind.id, code)
        for name, codes in labels.items()
        for kind, code in zip(classes, codes, strict=True)
        if code
    ]
    with whole_file(path) as unfinished, _open(unfinished, "w") as file:
        csv.writer(file).writerows([("ImageId", "ClassId", "EncodedPixels"), *rows])


def _open(path: Path, mode: Literal["r", "w"]) -> TextIO:
    """Open a table; names of strips may be any bytes."""
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def read_shape(path: Path, bits: BitDepth | None) -> Shape:
    """Return rows and columns of an image by its header, and judge it; 16-bit images are decoded for that.

    Args:
        path: of the file.
        bits: of a pixel in 16-bit files; None expects all 16 in use.

    Raises:
        DataError: saying why the image cannot be used, without its name.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            (width, height), mode = stored_size(image), image.mode
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"not readable as an image ({error})") from error
    if width * height > _MAX_PIXELS:
        raise DataError(f"expected at most {_MAX_PIXELS} pixels, got {width}x{height}")
    problem = pixel_problem(path, bits) if mode in SIXTEEN_BIT else None
    if problem:
        raise DataError(problem)
    return height, width


def pixel_problem(path: Path, bits: BitDepth | None) -> str | None:
    """Return why the service would refuse an image, which is decoded; see ``read_shape``."""
    try:
        _decode(path, bits)
    except OSError as error:
        return f"not readable as an image ({error})"
    except ServiceError as error:
        return error.detail
    return None
