"""Images that are equal, or nearly."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_export.data.groups import join_pairs, similar_pairs

_ALIKE = 0.9
"""Correlation of the details of two small pictures from which on they count as nearly the same."""
_LEAST_DETAIL = 0.5
"""Standard deviation, in grey values, below which a small picture shows nothing that could be compared."""
_LEAST_STEEL = 0.1
"""Share of a small picture that is not black."""
_BLACK = 12
"""Grey value below which a pixel shows no steel."""
_BLOCK = 512
"""Small pictures that are filtered at a time."""
_SURROUNDINGS = (5, 9)
"""Rows and columns of a small picture that a pixel is compared with."""


@dataclass(frozen=True)
class Duplicates:
    """Groups of indices of images, two or more in each."""

    equal: list[list[int]]
    """With equal pixels."""
    similar: list[list[int]]
    """That look alike; equal ones too."""


def find_duplicates(digests: Sequence[str], thumbnails: npt.NDArray[np.uint8]) -> Duplicates:
    """Return images that are equal, or nearly.

    Args:
        digests: of the pixels of each image.
        thumbnails: of each image, uint8 ``[images, rows, columns]``.
    """
    return Duplicates(equal_images(digests), similar_images(thumbnails))


def equal_images(digests: Sequence[str]) -> list[list[int]]:
    """Return groups of indices of images with equal pixels, two or more in each."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        groups[digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def similar_images(thumbnails: npt.NDArray[np.uint8]) -> list[list[int]]:
    """Return groups of indices of images that look alike, two or more in each.

    Only details of the steel count: neither brightness nor light that falls alike on all images, nor where
    the strip ends and the picture is black.

    Args:
        thumbnails: uint8 ``[images, rows, columns]``.
    """
    if len(thumbnails) < 2:
        return []
    rows, lengths = _details(thumbnails)
    shown = np.flatnonzero(lengths > 0)
    unit = rows[shown]
    unit /= lengths[shown, None]
    del rows
    groups = join_pairs(len(unit), similar_pairs(unit, _ALIKE, "looking for duplicates"))
    return [shown[group].tolist() for group in groups if len(group) > 1]


def _details(thumbnails: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return what differs from its surroundings, float32 ``[images, pixels]``, and its length.

    The length is 0 where there is too little to compare.
    """
    details = np.empty(thumbnails.shape, dtype=np.float32)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(thumbnails), _BLOCK)]
    for block in blocks:
        details[block] = _without_surroundings(thumbnails[block])
    common = details.mean(axis=0)  # the lamp, the camera
    lengths = np.zeros(len(details), dtype=np.float32)
    for block in blocks:
        steel = _steel(thumbnails[block])
        details[block] -= common * steel
        counts = steel.sum(axis=(1, 2))
        found = np.sqrt(np.square(details[block]).sum(axis=(1, 2)))
        enough = (counts > _LEAST_STEEL * common.size) & (found > _LEAST_DETAIL * np.sqrt(counts))
        lengths[block] = np.where(enough, found, 0)
    return details.reshape(len(details), -1), lengths


def _without_surroundings(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the difference of each pixel of steel from the steel around it."""
    steel = _steel(thumbnails)
    levels = thumbnails * steel
    around = ndimage.uniform_filter(levels, size=(0, *_SURROUNDINGS))
    share = ndimage.uniform_filter(steel, size=(0, *_SURROUNDINGS))
    return np.asarray((levels - around / np.maximum(share, 1e-3)) * steel, dtype=np.float32)


def _steel(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return 1 where there is steel, and 0 where the picture is black, or next to it."""
    black = ndimage.maximum_filter(thumbnails < _BLACK, size=(1, 3, 3))
    return np.asarray(~black, dtype=np.float32)
