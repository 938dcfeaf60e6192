"""Images that are equal, or nearly."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.data.groups import join_pairs, similar_pairs

_ALIKE = 0.97
"""Correlation of the details of two small pictures from which on they count as nearly the same."""
_LEAST_DETAIL = 1.0
"""Standard deviation, in grey values, below which a small picture shows nothing that could be compared."""


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

    Light that falls alike on all of them does not count, nor does brightness.

    Args:
        thumbnails: uint8 ``[images, rows, columns]``.
    """
    if len(thumbnails) < 2:
        return []
    details = thumbnails.astype(np.float32)
    details -= details.mean(axis=0)  # the lamp, the camera
    details -= details.mean(axis=(1, 2), keepdims=True)
    rows = details.reshape(len(details), -1)
    lengths = np.linalg.norm(rows, axis=1)
    shown = np.flatnonzero(lengths > _LEAST_DETAIL * np.sqrt(rows.shape[1]))
    unit = rows[shown] / lengths[shown, None]
    groups = join_pairs(len(unit), similar_pairs(unit, _ALIKE, "looking for duplicates"))
    return [shown[group].tolist() for group in groups if len(group) > 1]
