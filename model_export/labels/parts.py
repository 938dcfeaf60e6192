"""Parts of a mask as tools write them, drawn once the size of their image is known."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pycocotools.mask
from PIL import Image

from model_export.data.label_table import Key
from service.geometry import ColumnMask, Mask
from service.masks import label_studio, rle

_BEYOND = 2.0
"""Pixels by which a point may lie outside its image: tools round and overshoot."""

Points = npt.NDArray[np.float64]
"""float64 ``[points, 2]``: x and y."""


class PartError(ValueError):
    """A part of a label that is no mask of its image; the message says why."""


class Part(Protocol):
    """Pixels of one class, or of several."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield classes and their pixels, bool ``[width, height]``.

        Args:
            height: rows of the image.
            width: columns of the image.

        Raises:
            PartError: if it is no mask of an image of this size.
        """
        ...


@dataclass(frozen=True, slots=True)
class Runs:
    """Kaggle's run-length code."""

    kind: Key
    code: str
    row_major: bool = False
    """Whether pixels are numbered along rows, as they are by mistake."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the class and its pixels; see ``Part``."""
        try:
            mask = rle.decode(self.code, height=height, width=width)
        except rle.RleError as error:
            hint = ": Kaggle counts pixels from 1" if self.code.split()[:1] == ["0"] else ""
            raise PartError(f"{error}{hint}") from error
        yield self.kind, as_row_major(mask) if self.row_major else mask


def as_row_major(mask: ColumnMask) -> ColumnMask:
    """Return the mask, bool ``[width, height]``, that its runs mean if pixels are numbered along rows."""
    width, height = mask.shape
    return np.ascontiguousarray(mask.reshape(height, width).T)


@dataclass(frozen=True, slots=True)
class Polygons:
    """Outlines whose areas are joined."""

    kind: Key
    rings: Sequence[Sequence[float]]
    """Each ``x, y, x, y, …``."""
    scale: str = "pixels"
    """Unit of coordinates: ``pixels``, or ``fractions`` or ``percent`` of the width and height."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the class and its pixels; see ``Part``."""
        mask = np.zeros((width, height), dtype=np.bool_)
        for ring in self.rings:
            mask |= fill(self._points(ring, height, width), height, width)
        yield self.kind, mask

    def _points(self, ring: Sequence[float], height: int, width: int) -> Points:
        try:
            flat = np.asarray(ring, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise PartError(f"expected a polygon of numbers, got {str(ring)[:60]}") from error
        if flat.size % 2 or flat.size < 6 or not np.isfinite(flat).all():
            raise PartError(
                f"expected a polygon of 3 points or more, x and y each, got {flat.size} numbers"
                + ("" if np.isfinite(flat).all() else ", some of which are not finite")
            )
        points = flat.reshape(-1, 2)
        if self.scale == "fractions":
            if np.abs(points).max() > 1 + _BEYOND / min(height, width):
                raise PartError(f"expected coordinates from 0 to 1, got {np.abs(points).max():g}")
            points = points * (width, height)
        elif self.scale == "percent":
            points = points * (width / 100, height / 100)
        return points


def fill(points: Points, height: int, width: int) -> ColumnMask:
    """Return the pixels of a polygon as pycocotools fills it, bool ``[width, height]``.

    Raises:
        PartError: if it reaches more than 2 pixels out of the image.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    if low.min() < -_BEYOND or high[0] > width + _BEYOND or high[1] > height + _BEYOND:
        turned = low.min() >= -_BEYOND and high[1] <= width + _BEYOND and high[0] <= height + _BEYOND
        raise PartError(
            f"expected a polygon within {width}x{height} pixels, got x {low[0]:g} to {high[0]:g}, y "
            f"{low[1]:g} to {high[1]:g}"
            + ("; it fits with x and y exchanged: the label is transposed" if turned else "")
        )
    inside = points.clip((0, 0), (width, height))
    code = pycocotools.mask.frPyObjects([inside.reshape(-1).tolist()], height, width)
    return columns_of(pycocotools.mask.decode(code)[:, :, 0])


@dataclass(frozen=True, slots=True)
class CocoRuns:
    """COCO's run-length code, compressed or not."""

    kind: Key
    size: Any
    """Rows and columns, as the file has them."""
    counts: Any
    """Lengths of runs, the first of background: numbers, or a compressed string."""
    row_major: bool = False

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the class and its pixels; see ``Part``."""
        if self.size is not None and list(self.size) != [height, width]:
            turned = list(self.size) == [width, height]
            raise PartError(
                f"expected a mask of the size [{height}, {width}], rows and columns, got {self.size}"
                + ("; the label is transposed" if turned and height != width else "")
            )
        counts = coco_counts(self.counts)
        if counts.size and (counts < 0).any():
            raise PartError(f"expected counts of 0 and more, got {int(counts.min())}")
        # pycocotools does not check this and reads on in memory that is not the mask's.
        if int(counts.sum()) != height * width:
            raise PartError(
                f"expected counts that add up to {height * width}, {width}x{height} pixels, got "
                f"{int(counts.sum())}"
            )
        mask = np.repeat(np.arange(counts.size) % 2 == 1, counts).reshape(width, height)
        yield self.kind, as_row_major(mask) if self.row_major else mask


def coco_counts(counts: Any) -> npt.NDArray[np.int64]:
    """Return the lengths of runs of COCO's code, int64.

    Source of the compressed form: ``rleFrString`` in ``maskApi.c`` of pycocotools, which does not check.

    Raises:
        PartError: if they are no such code.
    """
    if isinstance(counts, (str, bytes)):
        text = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
        return _decompress(text)
    if not isinstance(counts, list) or not all(type(count) is int for count in counts):
        raise PartError(f"expected counts, a list of whole numbers or a string, got {str(counts)[:60]}")
    try:
        return np.array(counts, dtype=np.int64)
    except OverflowError as error:
        raise PartError("expected counts of pixels, got a number of more than 63 bits") from error


def _decompress(text: bytes) -> npt.NDArray[np.int64]:
    """Six bits a character, 48 added: five of the number, the lowest first, and whether more follow."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise PartError(f"expected a compressed code of COCO, got {text[:30]!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
        value = shift = 0
    if shift:
        raise PartError("the compressed code ends in the middle of a number")
    return np.array(counts, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Brush:
    """Label Studio's brush."""

    kinds: Sequence[Key]
    code: Any
    size: tuple[int, int]
    """Rows and columns of the image that was painted on."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the classes and their pixels; see ``Part``."""
        check_size(self.size, height, width)
        try:
            mask = label_studio.decode(self.code, height=height, width=width)
        except rle.RleError as error:
            raise PartError(str(error)) from error
        for kind in self.kinds:
            yield kind, mask


@dataclass(frozen=True, slots=True)
class BoxRuns:
    """CVAT's run-length code of a part of an image: row by row, the first run of background."""

    kind: Key
    left: int
    top: int
    size: tuple[int, int]
    """Rows and columns of the part."""
    counts: str
    """Whole numbers with commas."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the class and its pixels; see ``Part``."""
        rows, columns = self.size
        try:
            counts = np.array([int(count) for count in self.counts.split(",")], dtype=np.int64)
        except (ValueError, OverflowError) as error:
            raise PartError(f"expected counts, whole numbers, got {self.counts[:60]!r}") from error
        if (counts < 0).any() or int(counts.sum()) != rows * columns:
            raise PartError(
                f"expected counts that add up to {rows * columns}, {columns}x{rows} pixels, got "
                f"{int(counts.sum())}"
            )
        pixels = np.repeat(np.arange(counts.size) % 2 == 1, counts).reshape(rows, columns)
        yield self.kind, _placed(pixels, self.left, self.top, height, width)


@dataclass(frozen=True, slots=True)
class BoxPicture:
    """LabelMe's mask of a part of an image: a PNG in base64."""

    kind: Key
    left: int
    top: int
    png: str

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the class and its pixels; see ``Part``."""
        try:
            with Image.open(io.BytesIO(base64.b64decode(self.png)), formats=("PNG",)) as image:
                pixels = np.asarray(image.convert("L")) > 0
        except Exception as error:  # decoders raise any error of their parsing
            raise PartError(f"the mask of {self.kind!r} cannot be read: {error}") from error
        yield self.kind, _placed(pixels, self.left, self.top, height, width)


def _placed(pixels: Mask, left: int, top: int, height: int, width: int) -> ColumnMask:
    """Return a part of a mask, bool ``[rows, columns]``, at its place in the image."""
    rows, columns = pixels.shape
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        raise PartError(
            f"expected a mask within {width}x{height} pixels, got one of {columns}x{rows} at {left}, {top}"
        )
    mask = np.zeros((width, height), dtype=np.bool_)
    mask[left : left + columns, top : top + rows] = pixels.T
    return mask


def check_size(size: Sequence[int], height: int, width: int, name: str = "the label") -> None:
    """Check that a label is one of an image of this size.

    Raises:
        PartError: if it is not.
    """
    if tuple(size) == (height, width):
        return
    turned = tuple(size) == (width, height)
    raise PartError(
        f"{name}: expected {width}x{height} pixels, the size of the image, got {size[1]}x{size[0]}"
        + (": transposed, or turned by an EXIF orientation" if turned else "")
    )


def columns_of(pixels: npt.NDArray[Any]) -> ColumnMask:
    """Return row-major pixels as a mask, bool ``[width, height]``."""
    return np.ascontiguousarray(pixels.T, dtype=np.bool_)
