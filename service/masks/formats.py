"""The formats in which an answer carries its masks."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pycocotools.mask
from PIL import Image

from service.geometry import HEIGHT, WIDTH, ColumnMask
from service.masks import rle
from service.masks.regions import outline

MaskFormat = Literal["rle", "coco_rle", "coco_rle_uncompressed", "polygon", "png", "none"]


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
    encode: Callable[[ColumnMask | None], object]
    """Takes None for a class that is not present."""


def _or_empty(encode: Callable[[ColumnMask], object]) -> Callable[[ColumnMask | None], object]:
    """Encode None as a mask without pixels."""
    return lambda mask: encode(np.zeros((WIDTH, HEIGHT), dtype=np.bool_) if mask is None else mask)


CODECS = {
    "rle": Codec("rle", rle.encode),
    "coco_rle": Codec("coco_rle", _or_empty(coco_rle)),
    "coco_rle_uncompressed": Codec("coco_rle", _or_empty(uncompressed_coco_rle)),
    "polygon": Codec("polygon", _or_empty(outline)),
}
"""The formats that write each class separately."""


def png(masks: Sequence[ColumnMask | None]) -> str:
    """Write masks as one grey PNG in base64, its pixels as in ``class_bits``."""
    return base64_png(class_bits(masks))


def class_bits(masks: Sequence[ColumnMask | None]) -> npt.NDArray[np.uint8]:
    """Join masks into one image, uint8 ``[256, 1600]``: bit ``n`` of a pixel belongs to the ``n``-th mask."""
    bits = np.zeros((WIDTH, HEIGHT), dtype=np.uint8)
    for number, mask in enumerate(masks):
        if mask is not None:
            bits |= mask.astype(np.uint8) << number
    return np.ascontiguousarray(bits.T)


def maps_png(masks: npt.NDArray[np.uint8]) -> str:
    """Write probability maps, uint8 ``[classes, width, height]``, as one grey PNG in base64.

    255 x probability; the maps of the classes are one below the other.
    """
    return base64_png(np.ascontiguousarray(masks.transpose(0, 2, 1).reshape(-1, WIDTH)), compress_level=1)


def base64_png(pixels: npt.NDArray[np.uint8], **options: object) -> str:
    """Write grey pixels, uint8 ``[height, width]``, as a PNG in base64, with options of Pillow's encoder."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
