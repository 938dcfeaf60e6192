"""Labelled strips in Kaggle's layout: ``train.csv`` beside ``train_images/``."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from model_export.data import severstal
from model_export.data.classes import Classes, read_classes, write_classes
from model_export.data.image_index import ImageIndex, is_image, plain_form
from model_export.data.label_table import Key, join_codes, read_label_table
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.printable import printable
from model_export.data.tile import Shape
from model_export.data.usable import decode_file, open_all
from model_export.errors import DataError
from service.errors import counted
from service.files import whole_file
from service.geometry import BitDepth, Strip
from service.masks import rle

_LISTED = 100
"""Images that a message names."""


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
        return decode_file(path, bits)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name, without macOS's ``._`` files."""
    return sorted(path for path in folder.iterdir() if is_image(path.name) and path.name[:2] != "._")


def read_labels(path: Path, classes: Classes = severstal.CLASSES) -> dict[str, list[str]]:
    """Read ``train.csv`` into a run-length code for each class of an image, by the name that it writes.

    See ``label_table.read_label_table`` for what the file may look like. The masks of several rows of one
    class, e.g. a row per instance, are joined.

    Raises:
        DataError: naming the line, if a row is invalid.
    """
    positions: dict[Key, int] = {}
    for position, kind in enumerate(classes):
        positions |= {kind.id: position, kind.name: position}
    rows: dict[str, list[list[str]]] = {}
    for row in read_label_table(path).rows:
        codes = rows.setdefault(row.name, [[] for _ in classes])
        if row.kind in positions:
            codes[positions[row.kind]].append(row.code)
        elif row.kind is not None and (row.code or row.kind != 0):  # a clean image may have the class 0
            raise DataError(
                f"{path}, line {row.line}: expected a class {_listed_ids(classes)}, got {str(row.kind)!r}"
            )
    return {name: [join_codes(several) for several in codes] for name, codes in rows.items()}


def _listed_ids(classes: Classes) -> str:
    ids = [kind.id for kind in classes]
    if len(ids) > 2 and ids == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]} to {ids[-1]}"
    return " or ".join(map(str, ids))


def read_kaggle(folder: Path, *, bits: BitDepth | None = None, skip_bad: bool = False) -> list[KaggleStrip]:
    """List the strips of ``folder/train_images`` with the labels of ``folder/train.csv``.

    Their classes are those of ``classes.read_classes``. An image without a row is a clean strip, unless a
    row lacks its image: it may be that one. Every image is opened once.

    Args:
        folder: in Kaggle's layout.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
        skip_bad: whether to print and leave out what cannot be used.

    Raises:
        DataError: naming every image that is missing, damaged, of other bits or has an invalid mask; with
            ``skip_bad`` these are printed and left out.
    """
    images = folder / "train_images"
    if not (folder / "train.csv").is_file() or not images.is_dir():
        raise DataError(f"{folder} is not in Kaggle's layout: expected train.csv and train_images/ in it")
    classes = read_classes(folder)
    names = [path.name for path in list_images(images)]
    labels, problems = _match(read_labels(folder / "train.csv", classes), names)
    shapes, damaged = open_all([images / name for name in names], bits)
    problems |= {path.name: problem for path, problem in damaged.items()}
    for name in labels:
        problem = _mask_problem(labels[name], shapes.get(images / name), classes)
        if problem is not None:
            problems[name] = problem
    if problems:
        report = _listed(problems)
        if not skip_bad:
            raise DataError(
                f"{counted(len(problems), 'image')} of {folder} cannot be used (--skip-bad leaves out such):"
                f"\n{report}"
            )
        print(printable(f"left out {counted(len(problems), 'image')} of {folder}:\n{report}"))
    empty = [""] * len(classes)
    strips = [
        KaggleStrip(images / name, tuple(labels.get(name, empty)), bits, shapes[images / name])
        for name in names
        if name not in problems
    ]
    if not strips:
        raise DataError(f"{images} holds no usable image")
    return strips


def _match(
    written: Mapping[str, Sequence[str]], names: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Join codes with images; return them by image, and why labels or images cannot be used.

    Args:
        written: codes by the name of the image in ``train.csv``.
        names: of the images.
    """
    index = ImageIndex(names)
    found: dict[str, list[str]] = {}
    problems: dict[str, str] = {}
    lost = False
    for name, codes in written.items():
        try:
            found.setdefault(index.find(name), []).append(name)
        except DataError as error:
            problems[name] = f"named in train.csv, but not in train_images/: {error}"
            lost = lost or any(codes)
    labels: dict[str, list[str]] = {}
    for image, several in found.items():
        if len({plain_form(name) for name in several}) > 1:
            problems[image] = f"named in several ways in train.csv: {', '.join(several)}"
        labels[image] = [
            join_codes(codes) for codes in zip(*(written[name] for name in several), strict=True)
        ]
    if lost:
        for image in names:
            if image not in labels:
                problems[image] = (
                    "without a row, so it may be the image of a row that lacks its own; check --trust-clean "
                    "writes a data set in which such images are clean"
                )
    return labels, problems


def _mask_problem(codes: Sequence[str], shape: Shape | None, classes: Classes) -> str | None:
    """Return why a code is no mask of an image with these rows and columns."""
    if shape is None:
        return None
    for kind, code in zip(classes, codes, strict=True):
        try:
            rle.decode(code, height=shape[0], width=shape[1])
        except rle.RleError as error:
            return f"the mask of class {kind.id} is invalid: {error}"
    return None


def _listed(problems: Mapping[str, str]) -> str:
    lines = [f"  {name}: {problem}" for name, problem in sorted(problems.items())]
    more = [f"  and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return "\n".join([*lines[:_LISTED], *more])


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
    # Names of strips may be any bytes.
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([("ImageId", "ClassId", "EncodedPixels"), *rows])
