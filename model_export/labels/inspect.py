"""Open every image of a data set once, draw its masks and measure both."""

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from model_export.data.digest import strip_digest
from model_export.data.label_table import Key
from model_export.data.split import COLUMNS, streak_profile
from model_export.data.usable import decode_file
from model_export.errors import DataError
from model_export.labels.parts import CocoRuns, PartError, Runs, as_row_major, check_size
from model_export.labels.source import ImageLabels
from service.geometry import BitDepth, ColumnMask, Strip
from service.images.orientation import orientation_of
from service.masks import rle

THUMBNAIL = (64, 16)
"""Columns and rows of the small picture by which near-duplicates are found."""
_BLACK = 12
"""Mean grey value below which a row or column shows no steel."""
_WRONG_ORDER = 0.5
"""A mask whose outline is shorter than this share of itself with pixels numbered the other way is in that
order."""
_AHEAD = 64
"""Images that wait for a thread or for their turn."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Measures of an image and its masks."""

    shape: tuple[int, int]
    """Rows and columns."""
    brightness: float
    """Mean grey value."""
    contrast: float
    """Standard deviation of grey values."""
    border: float
    """Share of columns or rows at the edges without steel."""
    digest: str
    """Of the pixels."""
    codes: Mapping[Key, str]
    """Kaggle's run-length code of each class."""
    areas: Mapping[Key, int]
    """Pixels of each class."""
    empty: int = 0
    """Parts without a pixel."""
    row_major: bool | None = None
    """Whether pixels are numbered along rows, by the looks of the mask; None if it does not tell."""


@dataclass
class Inspection:
    """What a data set's images and masks show, in the order of its images."""

    facts: dict[str, ImageFacts]
    """By path; without images that cannot be used."""
    problems: dict[str, str]
    """Why others cannot be used."""
    thumbnails: npt.NDArray[np.uint8]
    """uint8 ``[images, 16, 64]``, a row for each of ``facts``."""
    profiles: npt.NDArray[np.float32]
    """Streaks, float32 ``[images, 200]``; see ``split.streak_profile``."""


class _Opened(NamedTuple):
    facts: ImageFacts
    thumbnail: npt.NDArray[np.uint8]
    profile: npt.NDArray[np.float64]


def inspect_all(folder: Path, images: Mapping[str, ImageLabels], bits: BitDepth | None) -> Inspection:
    """Open every image once.

    Args:
        folder: of the data set.
        images: by path.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
    """
    # One block each: many small arrays among those of images would keep the memory of these.
    found = Inspection(
        {},
        {},
        np.zeros((len(images), THUMBNAIL[1], THUMBNAIL[0]), dtype=np.uint8),
        np.zeros((len(images), COLUMNS), dtype=np.float32),
    )
    waiting: deque[tuple[str, Future[_Opened]]] = deque()

    def collect() -> None:
        name, future = waiting.popleft()
        try:
            one = future.result()
        except (DataError, PartError) as error:
            found.problems[name] = str(error)
        else:
            found.thumbnails[len(found.facts)] = one.thumbnail
            found.profiles[len(found.facts)] = one.profile
            found.facts[name] = one.facts
        progress.update()

    progress = tqdm(total=len(images), desc="reading images", unit="image", dynamic_ncols=True)
    with progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for name, labels in images.items():
                waiting.append((name, pool.submit(_inspect, folder / name, labels, bits)))
                if len(waiting) > _AHEAD:
                    collect()
            while waiting:
                collect()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    count = len(found.facts)
    found.thumbnails, found.profiles = found.thumbnails[:count], found.profiles[:count]
    return found


def _inspect(path: Path, labels: ImageLabels, bits: BitDepth | None) -> _Opened:
    """Open an image, draw its masks and measure both.

    Raises:
        DataError: if the service would refuse the image.
        PartError: if a label is no mask of it.
    """
    image = decode_file(path, bits)
    if labels.size is not None:
        _check_shown(path, labels.size, image, has_masks=bool(labels.parts))
    masks: dict[Key, ColumnMask] = {}
    empty = 0
    votes: list[bool] = []
    for kind, mask, in_runs in draw_parts(labels, image):
        if not mask.any():
            empty += 1
            continue
        if in_runs and (vote := looks_row_major(mask)) is not None:
            votes.append(vote)
        masks[kind] = masks[kind] | mask if kind in masks else mask
    facts = ImageFacts(
        shape=(image.shape[0], image.shape[1]),
        brightness=float(image.mean()),
        contrast=float(image.std()),
        border=black_border(image),
        digest=strip_digest(image),
        codes={kind: rle.encode(mask) for kind, mask in masks.items()},
        areas={kind: int(mask.sum()) for kind, mask in masks.items()},
        empty=empty,
        row_major=None if not votes else sum(votes) * 2 > len(votes),
    )
    small = Image.fromarray(image).resize(THUMBNAIL, Image.Resampling.BOX)
    return _Opened(facts, np.asarray(small), streak_profile(image))


def draw_parts(labels: ImageLabels, image: Strip) -> Iterator[tuple[Key, ColumnMask, bool]]:
    """Yield class and pixels of each part of a label, and whether it is a run-length code of the image.

    Raises:
        PartError: if one is no mask of the image.
    """
    for part in labels.parts:
        for kind, mask in part.draw(*image.shape):
            yield kind, mask, isinstance(part, (Runs, CocoRuns))


def _check_shown(path: Path, size: tuple[int, int], image: Strip, *, has_masks: bool) -> None:
    """Check that a tool with a picture of its own showed the image as its pixels are stored.

    Raises:
        PartError: if masks do not fit them.
    """
    height, width = image.shape
    turn = orientation_of(path.read_bytes())
    if turn != 1 and has_masks:
        raise PartError(
            f"expected no EXIF orientation, got {turn}: the tool turned the picture, so that masks do not "
            "fit the stored pixels; label the copies that steel predict --write strips makes"
        )
    check_size(size, height, width, "the label file")


def looks_row_major(mask: ColumnMask) -> bool | None:
    """Return whether a mask was written with pixels numbered along rows; None if its looks do not tell.

    Read in the wrong order, the rows of a defect lie scattered over the image, each with an outline of its
    own.
    """
    as_read, otherwise = _outline(mask), _outline(as_row_major(mask))
    if otherwise < _WRONG_ORDER * as_read:
        return True
    return False if as_read < _WRONG_ORDER * otherwise else None


def _outline(mask: ColumnMask) -> int:
    """Return how many neighbours differ."""
    return int(np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1]))


def black_border(image: Strip) -> float:
    """Return the share of the longer of width and height that is black at the edges."""
    return max(_dark_ends(image.mean(axis=axis)) for axis in (0, 1))


def _dark_ends(levels: npt.NDArray[np.float64]) -> float:
    steel = np.flatnonzero(levels >= _BLACK)
    if not steel.size:
        return 1.0
    return float(levels.size - (steel[-1] - steel[0] + 1)) / levels.size
