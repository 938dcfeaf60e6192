"""Kaggle's layout on disk, and a data set that opens an image only when it is asked for."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

from service.errors import ServiceError
from service.geometry import CLASS_COUNT, HEIGHT, WIDTH, Strip
from service.images.decode import decode
from service.masks import rle

Masks = npt.NDArray[np.bool_]
"""bool ``[4, 256, 1600]``: one mask per class, row-major as an image is."""

CLASS_NAMES = ("pitting", "vertical line", "scratch", "patch")
"""What the classes 1 to 4 are called unless somebody says otherwise: how they look. Severstal named none."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class DataError(Exception):
    """The data set on disk is not what it should be; says which files and why."""


class LabelledStrip(Protocol):
    """A strip with its truth, read only when asked for."""

    @property
    def name(self) -> str:
        """File name."""
        ...

    @property
    def classes(self) -> frozenset[int]:
        """Class ids, 1..4, that the strip holds; known without opening the image."""
        ...

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[256, 1600]``, and its masks."""
        ...


@dataclass(frozen=True)
class KaggleStrip:
    """A strip of Kaggle's data set: an image file and the run-length codes of its masks."""

    path: Path
    rles: tuple[str, str, str, str]

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def classes(self) -> frozenset[int]:
        """Class ids, 1..4, that the strip holds."""
        return frozenset(index + 1 for index, code in enumerate(self.rles) if code)

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip, uint8 ``[256, 1600]``, and its masks, bool ``[4, 256, 1600]``."""
        # Kept column by column, as the codes have it: turning all of it would cost more than the image.
        columns = np.stack([rle.decode(code, height=HEIGHT, width=WIDTH) for code in self.rles])
        return read_image(self.path), columns.transpose(0, 2, 1)


def read_image(path: Path) -> Strip:
    """Read an image file as the service would.

    Raises:
        DataError: naming the file, if the service would refuse it.
    """
    try:
        return decode(path.read_bytes(), max_pixels=HEIGHT * WIDTH)
    except (OSError, ServiceError) as error:
        raise DataError(f"{path}: {error}") from error


def read_labels(path: Path) -> dict[str, list[str]]:
    """Read ``train.csv`` in either of Kaggle's forms into four run-length codes per image.

    The forms are ``ImageId,ClassId,EncodedPixels`` with a row per mask, and the older
    ``ImageId_ClassId,EncodedPixels`` with four rows per image, empty where there is no mask.

    Raises:
        DataError: naming the line, if a row cannot be understood.
    """
    labels: dict[str, list[str]] = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = set(reader.fieldnames or ())
        new, old = {"ImageId", "ClassId", "EncodedPixels"}, {"ImageId_ClassId", "EncodedPixels"}
        if not (new <= columns or old <= columns):
            raise DataError(f"{path} has the columns {sorted(columns)}; {sorted(new)} are wanted")
        for row in reader:
            if new <= columns:
                name, class_text = row["ImageId"], row["ClassId"]
            else:
                name, _, class_text = row["ImageId_ClassId"].rpartition("_")
            if class_text not in ("1", "2", "3", "4") or not name:
                raise DataError(
                    f"{path}, line {reader.line_num}: the class is {class_text!r}; 1 to 4 is wanted"
                )
            codes = labels.setdefault(name, [""] * CLASS_COUNT)
            index = int(class_text) - 1
            if codes[index]:
                raise DataError(
                    f"{path}, line {reader.line_num}: {name} has a second mask of class {class_text}"
                )
            codes[index] = (row["EncodedPixels"] or "").strip()
    return labels


def read_kaggle(folder: Path, *, skip_bad: bool = False) -> list[KaggleStrip]:
    """List the strips of ``folder/train_images`` with the labels of ``folder/train.csv``.

    An image without a row is a clean strip. Headers are checked here, pixels are read later.

    Raises:
        DataError: naming every image that is missing, unreadable, of the wrong size or whose mask cannot
            be read; with ``skip_bad`` they are named on standard output and left out.
    """
    images = folder / "train_images"
    if not (folder / "train.csv").is_file() or not images.is_dir():
        raise DataError(f"{folder} is not in Kaggle's layout: train.csv and train_images/ are wanted there")
    labels = read_labels(folder / "train.csv")
    names = {path.name for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    problems = dict.fromkeys(labels.keys() - names, "named in train.csv, but not in train_images/")
    for name in names:
        problem = header_problem(images / name)
        if problem:
            problems[name] = problem
    for name, codes in labels.items():
        for class_id, code in enumerate(codes, 1):
            try:
                rle.decode(code, height=HEIGHT, width=WIDTH)
            except rle.RleError as error:
                problems[name] = f"its mask of class {class_id} cannot be read: {error}"
    if problems:
        report = "\n".join(f"  {name}: {problem}" for name, problem in sorted(problems.items()))
        if not skip_bad:
            raise DataError(
                f"{len(problems)} images of {folder} cannot be used (--skip-bad leaves them out):\n{report}"
            )
        print(f"left out {len(problems)} images of {folder}:\n{report}")
    empty = [""] * CLASS_COUNT
    strips = []
    for name in sorted(names - problems.keys()):
        first, second, third, fourth = labels.get(name, empty)
        strips.append(KaggleStrip(images / name, (first, second, third, fourth)))
    if not strips:
        raise DataError(f"{images} holds no usable image")
    return strips


def write_kaggle(strips: Sequence[LabelledStrip], folder: Path, title: str) -> None:
    """Write strips to ``folder/train_images`` and their masks to ``folder/train.csv``, as Kaggle does."""
    images = folder / "train_images"
    images.mkdir(parents=True, exist_ok=True)
    labels: dict[str, list[str]] = {}
    for labelled in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        strip, masks = labelled.load()
        Image.fromarray(strip).save(images / labelled.name)
        labels[labelled.name] = [rle.encode(mask.T) for mask in masks]
    write_labels(labels, folder / "train.csv")


def write_labels(labels: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write four run-length codes per image as ``read_labels`` reads them, a row per mask."""
    rows = [
        (name, class_id, code)
        for name, codes in labels.items()
        for class_id, code in enumerate(codes, 1)
        if code
    ]
    new = path.with_suffix(".new")
    with new.open("w", newline="") as file:
        csv.writer(file).writerows([("ImageId", "ClassId", "EncodedPixels"), *rows])
    new.replace(path)


def header_problem(path: Path) -> str | None:
    """Say why an image cannot be a strip, by its header; None if it can."""
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, UnidentifiedImageError) as error:
        return f"not readable as an image ({error})"
    return None if size == (WIDTH, HEIGHT) else f"{size[0]}x{size[1]}, {WIDTH}x{HEIGHT} is wanted"


class Pick(NamedTuple):
    """One sample to make: which strip, and the class that its crop should show."""

    number: int
    """Of the strip in the data set."""
    focus: int
    """Class id, 1..4; 0 for a place without defects, if the strip has one."""


class Sample(NamedTuple):
    """One training sample."""

    image: Tensor
    """uint8 ``[1, height, width]``."""
    masks: Tensor
    """uint8 ``[4, height, width]``, 0 or 1."""


Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class StripDataset(Dataset[Sample]):
    """Opens, crops and transforms one strip at a time; holds names and codes, never pixels.

    Args:
        strips: where samples come from.
        crop_width: columns of a sample; None gives whole strips.
        transform: moves image and masks as one.
    """

    def __init__(
        self,
        strips: Sequence[LabelledStrip],
        crop_width: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.strips = strips
        self.crop_width = crop_width
        self.transform = transform

    def __len__(self) -> int:
        return len(self.strips)

    def __getitem__(self, pick: Pick | int) -> Sample:
        index, focus = pick if isinstance(pick, tuple) else (pick, 0)
        strip, masks = self.strips[index].load()
        if self.crop_width is not None:
            columns = crop_columns(masks, self.crop_width, focus)
            strip, masks = strip[:, columns], masks[:, :, columns]
        image = torch.tensor(np.ascontiguousarray(strip)).unsqueeze(0)
        targets = torch.from_numpy(np.ascontiguousarray(masks)).to(torch.uint8)
        if self.transform is not None:
            image, targets = self.transform(image, targets)
        return Sample(image, targets)


def crop_columns(masks: Masks, width: int, focus: int) -> slice:
    """Choose columns for a crop: around a random defect column of class ``focus``.

    Without a focus it lies where no defect is, if there is room for it; else anywhere.
    """
    full = masks.shape[2]
    columns = np.flatnonzero(masks[focus - 1].any(axis=0)) if focus else np.empty(0, dtype=np.int64)
    if columns.size:
        jitter = int(torch.randint(-width // 3, width // 3 + 1, ()))
        centre = int(columns[int(torch.randint(columns.size, ()))]) + jitter
        left = min(max(centre - width // 2, 0), full - width)
    else:
        lefts = _without_defects(masks, width) if not focus else np.empty(0, dtype=np.int64)
        choices = lefts if lefts.size else np.arange(full - width + 1)
        left = int(choices[int(torch.randint(choices.size, ()))])
    return slice(left, left + width)


def _without_defects(masks: Masks, width: int) -> npt.NDArray[np.int64]:
    """List the first columns of all crops that hold no defect."""
    before = np.concatenate([[0], np.cumsum(masks.any(axis=(0, 1)))])
    return np.flatnonzero(before[width:] == before[:-width])


class BalancedSampler(Sampler[Pick]):
    """Draws strips so that each class, and clean strips, come equally often.

    Args:
        strips: what to draw from.
        length: samples an epoch.
        groups: strips fall into these groups of indices, each with its share of the samples; within
            a group the classes are balanced.
        seed: of the draws; with ``set_epoch`` it makes every epoch reproducible on its own.
        part: number of this part and count of parts, if several processes share an epoch; all parts are
            of one length.
    """

    def __init__(
        self,
        strips: Sequence[LabelledStrip],
        length: int,
        groups: Iterable[tuple[Sequence[int], float]],
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.first, self.step = part
        self.length = -(-length // self.step)
        self.seed = seed
        self.epoch = 0
        self.groups: list[tuple[list[tuple[int, list[int]]], float]] = []
        for indices, share in groups:
            cells: dict[int, list[int]] = {}
            for index in indices:
                for class_id in strips[index].classes or {0}:
                    cells.setdefault(class_id, []).append(index)
            if cells and share > 0:
                self.groups.append((sorted(cells.items()), share))
        if not self.groups:
            raise DataError("there are no strips to draw from")

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose draws come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Pick]:
        rng = np.random.default_rng((self.seed, self.epoch))
        shares = np.array([share for _, share in self.groups])
        for number in range(self.length * self.step):
            cells = self.groups[int(rng.choice(len(shares), p=shares / shares.sum()))][0]
            class_id, indices = cells[int(rng.integers(len(cells)))]
            pick = Pick(indices[int(rng.integers(len(indices)))], class_id)
            if number % self.step == self.first:
                yield pick
