"""The formats in which an answer carries its masks.

Masks are column-major; ``shape`` is that of every mask of the answer: width and height.
"""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pycocotools.mask
from PIL import Image

from service.geometry import ColumnMask
from service.masks import rle
from service.masks.regions import outline

MaskFormat = Literal["rle", "coco_rle", "coco_rle_uncompressed", "polygon", "png", "none"]
Shape = tuple[int, int]
Bits = npt.NDArray[Any]
"""Unsigned integers of 8, 16 or 32 bits."""

PNG_CLASSES = 16
"""Classes that the bits of a grey PNG's pixel can hold."""


def coco_rle(mask: ColumnMask) -> dict[str, Any]:
    """Encode a mask as pycocotools does: ``size`` and compressed ``counts``, a string."""
    code = pycocotools.mask.encode(mask.T.astype(np.uint8, order="F"))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


def uncompressed_coco_rle(mask: ColumnMask) -> dict[str, Any]:
    """Encode a mask as lengths of runs, column by column, the first of background, as COCO annotates crowds.

    Source: ``maskApi.h`` of pycocotools.
    """
    pixels = mask.reshape(-1)
    edges = np.flatnonzero(np.diff(pixels, prepend=False))
    counts = np.diff(edges, prepend=0, append=pixels.size)
    return {"size": [mask.shape[1], mask.shape[0]], "counts": counts.tolist()}


class Codec(NamedTuple):
    """Writes the mask of one class."""

    field: str
    """Name of the field in the class's answer."""
    encode: Callable[[ColumnMask | None, Shape], object]
    """Takes None for a class that is not present."""


def _or_empty(encode: Callable[[ColumnMask], object]) -> Callable[[ColumnMask | None, Shape], object]:
    """Encode None as a mask without pixels."""
    return lambda mask, shape: encode(np.zeros(shape, dtype=np.bool_) if mask is None else mask)


CODECS = {
    "rle": Codec("rle", lambda mask, _shape: rle.encode(mask)),
    "coco_rle": Codec("coco_rle", _or_empty(coco_rle)),
    "coco_rle_uncompressed": Codec("coco_rle", _or_empty(uncompressed_coco_rle)),
    "polygon": Codec("polygon", _or_empty(outline)),
}
"""The formats that write each class separately."""


def png(masks: Sequence[ColumnMask | None], shape: Shape) -> str:
    """Write at most ``PNG_CLASSES`` masks as one grey PNG in base64, its pixels as in ``class_bits``."""
    return base64_png(class_bits(masks, shape))


def class_bits(masks: Sequence[ColumnMask | None], shape: Shape) -> Bits:
    """Join masks into one image, ``[height, width]``: bit ``n`` of a pixel belongs to the ``n``-th mask.

    Its type is that of ``bits_type``.
    """
    bits: Bits = np.zeros(shape, dtype=bits_type(len(masks)))
    for number, mask in enumerate(masks):
        if mask is not None:
            np.bitwise_or(bits, mask.astype(bits.dtype) << number, out=bits)
    return np.ascontiguousarray(bits.T)


def bits_type(classes: int) -> np.dtype[Any]:
    """Return the smallest type with a bit for each class: of 8, 16 or 32 bits."""
    return np.dtype(np.uint8 if classes <= 8 else np.uint16 if classes <= 16 else np.uint32)


def maps_png(masks: npt.NDArray[np.uint8]) -> str:
    """Write probability maps, uint8 ``[classes, width, height]``, as one grey PNG in base64.

    255 x probability; the maps of the classes are one below the other.
    """
    return base64_png(
        np.ascontiguousarray(masks.transpose(0, 2, 1).reshape(-1, masks.shape[1])), compress_level=1
    )


def base64_png(pixels: Bits, **options: object) -> str:
    """Write grey pixels, uint8 or uint16 ``[height, width]``, as a PNG in base64.

    Args:
        pixels: to write.
        options: of Pillow's encoder.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
