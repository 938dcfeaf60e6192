"""Labelled strips in Kaggle's layout: ``train.csv`` beside ``train_images/``."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.errors import DataError
from service.errors import ServiceError, counted
from service.files import whole_file
from service.geometry import CLASS_COUNT, HEIGHT, WIDTH, BitDepth, Strip
from service.images.decode import FORMATS, SIXTEEN_BIT, Size, decode
from service.images.orientation import stored_size
from service.images.suffixes import IMAGE_SUFFIXES
from service.masks import rle


@dataclass(frozen=True)
class KaggleStrip:
    """A strip of Kaggle's data set: an image file and the run-length codes of its masks."""

    path: Path
    rles: tuple[str, ...]
    bits: BitDepth | None = None
    """Of a pixel, if the file has 16 bits."""

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def classes(self) -> frozenset[int]:
        """Ids, 1..4, of the classes on the strip."""
        return frozenset(index + 1 for index, code in enumerate(self.rles) if code)

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[256, 1600]``, and its masks, bool ``[4, 256, 1600]``."""
        # The masks stay column-major in memory, as decoded: a copy in row order would cost more than
        # decoding the image.
        columns = np.stack([rle.decode(code, height=HEIGHT, width=WIDTH) for code in self.rles])
        return read_image(self.path, self.bits), columns.transpose(0, 2, 1)


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
    return decode(
        path.read_bytes(),
        max_pixels=HEIGHT * WIDTH,
        bits=None if bits is None else int(bits),
        least=Size(WIDTH, HEIGHT),
    )


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def read_labels(path: Path) -> dict[str, list[str]]:
    """Read ``train.csv`` in either of Kaggle's forms into four run-length codes per image.

    The forms are ``ImageId,ClassId,EncodedPixels`` with a row per mask, and the older
    ``ImageId_ClassId,EncodedPixels`` with four rows per image, empty where there is no mask.

    Raises:
        DataError: naming the line, if a row is invalid.
    """
    labels: dict[str, list[str]] = {}
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
            if class_text not in ("1", "2", "3", "4") or not name:
                raise DataError(
                    f"{path}, line {reader.line_num}: expected a class 1 to 4, got {class_text!r}"
                )
            codes = labels.setdefault(name, [""] * CLASS_COUNT)
            index = int(class_text) - 1
            if codes[index]:
                raise DataError(
                    f"{path}, line {reader.line_num}: {name} has a second mask of class {class_text}"
                )
            codes[index] = (row["EncodedPixels"] or "").strip()
    return labels


def read_kaggle(folder: Path, *, bits: BitDepth | None = None, skip_bad: bool = False) -> list[KaggleStrip]:
    """List the strips of ``folder/train_images`` with the labels of ``folder/train.csv``.

    An image without a row is a clean strip. Only headers are read here, pixels later; 16-bit images are
    decoded here, since only their pixels say whether ``bits`` fits them.

    Args:
        folder: in Kaggle's layout.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
        skip_bad: whether to print and leave out what cannot be used.

    Raises:
        DataError: naming every image that is missing, unreadable, of the wrong size, of other bits or has an
            invalid mask; with ``skip_bad`` these are printed and left out.
    """
    images = folder / "train_images"
    if not (folder / "train.csv").is_file() or not images.is_dir():
        raise DataError(f"{folder} is not in Kaggle's layout: expected train.csv and train_images/ in it")
    labels = read_labels(folder / "train.csv")
    names = {path.name for path in list_images(images)}
    problems = dict.fromkeys(labels.keys() - names, "named in train.csv, but not in train_images/")
    for name in names:
        problem = image_problem(images / name, bits)
        if problem:
            problems[name] = problem
    for name, codes in labels.items():
        for class_id, code in enumerate(codes, 1):
            try:
                rle.decode(code, height=HEIGHT, width=WIDTH)
            except rle.RleError as error:
                problems[name] = f"the mask of class {class_id} is invalid: {error}"
    if problems:
        report = "\n".join(f"  {name}: {problem}" for name, problem in sorted(problems.items()))
        if not skip_bad:
            raise DataError(
                f"{counted(len(problems), 'image')} of {folder} cannot be used (--skip-bad leaves out such):"
                f"\n{report}"
            )
        print(f"left out {counted(len(problems), 'image')} of {folder}:\n{report}")
    empty = [""] * CLASS_COUNT
    strips = []
    for name in sorted(names - problems.keys()):
        first, second, third, fourth = labels.get(name, empty)
        strips.append(KaggleStrip(images / name, (first, second, third, fourth), bits))
    if not strips:
        raise DataError(f"{images} holds no usable image")
    return strips


def write_kaggle(strips: Sequence[LabelledStrip], folder: Path, title: str) -> None:
    """Write strips to ``folder/train_images`` and their masks to ``folder/train.csv``.

    Args:
        strips: what to write.
        folder: created if it is missing.
        title: of the progress bar.
    """
    images = folder / "train_images"
    images.mkdir(parents=True, exist_ok=True)
    labels: dict[str, list[str]] = {}
    for labelled in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        strip, masks = labelled.load()
        Image.fromarray(strip).save(images / labelled.name)
        labels[labelled.name] = [rle.encode(mask.T) for mask in masks]
    write_labels(labels, folder / "train.csv")


def write_labels(labels: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write four run-length codes per image in the form of ``read_labels``, a row per mask."""
    rows = [
        (name, class_id, code)
        for name, codes in labels.items()
        for class_id, code in enumerate(codes, 1)
        if code
    ]
    with whole_file(path) as unfinished, _open(unfinished, "w") as file:
        csv.writer(file).writerows([("ImageId", "ClassId", "EncodedPixels"), *rows])


def _open(path: Path, mode: Literal["r", "w"]) -> TextIO:
    """Open a table; names of strips may be any bytes."""
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def image_problem(path: Path, bits: BitDepth | None) -> str | None:
    """Return why an image cannot be a strip, judged by its header and, if it has 16 bits, by its pixels.

    Args:
        path: of the file.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            size, mode = stored_size(image), image.mode
    except (OSError, UnidentifiedImageError) as error:
        return f"not readable as an image ({error})"
    if size != (WIDTH, HEIGHT):
        return f"expected {WIDTH}x{HEIGHT} pixels, got {size[0]}x{size[1]}"
    return pixel_problem(path, bits) if mode in SIXTEEN_BIT else None


def pixel_problem(path: Path, bits: BitDepth | None) -> str | None:
    """Return why the service would refuse an image, which is decoded; see ``image_problem``."""
    try:
        _decode(path, bits)
    except OSError as error:
        return f"not readable as an image ({error})"
    except ServiceError as error:
        return error.detail
    return None
