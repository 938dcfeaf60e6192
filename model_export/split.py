"""A split into training, validation and test that keeps strips of one coil together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from tqdm import tqdm

from model_export.data import LabelledStrip
from service.metadata import CLASS_COUNT, Split, Strip

SIMILARITY = 0.45
"""Correlation of two streak profiles from which strips count as one group. On 173 public strips,
visibly consecutive photographs of one coil lie at 0.45 to 0.8, strips of different coils below 0.4."""

STRATEGY = "groups of strips with alike streak profiles, dealt out to folds by class"


def streak_profile(strip: Strip) -> npt.NDArray[np.float64]:
    """Describe a strip by its streaks along the rolling direction: unit vector ``[200]``.

    Streaks, edges and roll marks stay in the same columns over many photographs of a coil, so
    near-duplicates and neighbours correlate, whatever their brightness or their defects.
    """
    small = Image.fromarray(strip).resize((200, 32), Image.Resampling.BOX)
    blurred = small.filter(ImageFilter.GaussianBlur(4))
    detail = np.asarray(small, dtype=np.float64) - np.asarray(blurred, dtype=np.float64)
    detail = np.clip(detail / (np.abs(detail).mean() + 1), -3, 3)
    profile = detail.mean(axis=0)
    profile -= profile.mean()
    return np.asarray(profile / (np.linalg.norm(profile) + 1e-6))


def group_strips(strips: Sequence[LabelledStrip]) -> list[list[int]]:
    """Group the indices of strips that look like photographs of one coil (single linkage)."""
    profiles = np.stack(
        [
            streak_profile(strip.load()[0])
            for strip in tqdm(strips, "comparing strips", unit="strip", leave=False)
        ]
    )
    parents = list(range(len(strips)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for first in range(len(strips)):  # one row at a time: 12,568 strips fit in memory
        alike = np.flatnonzero(profiles[first + 1 :] @ profiles[first] > SIMILARITY) + first + 1
        for second in alike.tolist():
            parents[root(second)] = root(first)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(strips)):
        groups[root(index)].append(index)
    return sorted(groups.values())


def deal_folds(strips: Sequence[LabelledStrip], folds: int, seed: int) -> list[list[int]]:
    """Deal groups out to folds so that every class, and clean strips, spread evenly.

    Groups with rare classes are dealt first; each goes to the fold that is poorest in what the
    group holds.
    """
    groups = group_strips(strips)
    kinds = [sorted(strip.classes) or [0] for strip in strips]
    totals = np.bincount([kind for found in kinds for kind in found], minlength=CLASS_COUNT + 1)
    weights = 1 / np.maximum(totals, 1)
    contents = np.array(
        [
            np.bincount([kind for i in group for kind in kinds[i]], minlength=CLASS_COUNT + 1) * weights
            for group in groups
        ]
    )
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(-contents[order].max(axis=1), kind="stable")]
    held = np.zeros((folds, CLASS_COUNT + 1))
    dealt: list[list[int]] = [[] for _ in range(folds)]
    for group in order.tolist():
        fold = int(np.argmin(((held + contents[group]) ** 2 - held**2).sum(axis=1)))
        held[fold] += contents[group]
        dealt[fold].extend(groups[group])
    return [sorted(fold) for fold in dealt]


def split_strips(strips: Sequence[LabelledStrip], folds: int, seed: int) -> Split:
    """Use the first fold for the test, the second for validation and the rest for training.

    Raises:
        ValueError: if there are fewer than three folds.
    """
    if folds < 3:
        raise ValueError(f"a split into training, validation and test takes 3 folds or more, got {folds}")
    dealt = deal_folds(strips, folds, seed)

    def names(indices: Sequence[int]) -> tuple[str, ...]:
        return tuple(strips[index].name for index in sorted(indices))

    return Split(
        strategy=STRATEGY,
        seed=seed,
        test=names(dealt[0]),
        validation=names(dealt[1]),
        train=names([index for fold in dealt[2:] for index in fold]),
    )
