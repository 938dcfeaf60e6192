"""Split into training, validation and test that keeps the strips of one coil together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from model_export.data.groups import best_correlation, join_pairs, similar_pairs
from model_export.data.labelled_strip import CLEAN, LabelledStrip
from model_export.data.tables import read_table
from model_export.errors import DataError
from service.errors import counted
from service.geometry import Strip
from service.model.metadata import Split

STRATEGY = "groups of strips with alike streak profiles, dealt out to folds by class"

OWN_GROUPS = "groups of the data set's own, dealt out to folds by class"

COLUMNS = 200
_MAX_SHIFT = 4
"""Columns of a profile (8 pixels each) by which two photographs of a coil may be shifted."""
_FALSE_LINKS = 0.1
"""False links to strips of other coils per strip, on average: far below 1, where chance links would join
all strips into one group."""
_LEAST_SIMILARITY = 0.45
_COMPARED = 2048
"""Strips that are compared with all others to choose the threshold."""

Profiles = npt.NDArray[np.float32] | npt.NDArray[np.float64]
"""Floating-point ``[strips, 200]``, rows of unit length."""


def streak_profile(strip: Strip) -> npt.NDArray[np.float64]:
    """Return the profile of a strip's streaks along the rolling direction, a unit vector ``[200]``.

    Streaks, ripples and stamps stay in the same columns over many photographs of a coil, so neighbours
    correlate, whatever their brightness. Columns beyond the strip's edge and next to it are left out, since
    edges lie alike on many coils.
    """
    small = Image.fromarray(strip).resize((COLUMNS, 32), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.float64).mean(axis=0)
    black = np.convolve(levels < 12, np.ones(5), mode="same") > 0
    steel = (~black).astype(np.float64)
    detail = (levels - _blur(levels * steel) / (_blur(steel) + 1e-6)) * steel
    detail = np.clip(detail / (np.abs(detail).sum() / (steel.sum() + 1e-6) + 0.3), -3, 3)
    detail = (detail - detail.sum() / max(1.0, float(steel.sum()))) * steel
    return np.asarray(detail / (np.linalg.norm(detail) + 1e-6))


def _blur(values: npt.NDArray[np.float64], sigma: float = 4.0) -> npt.NDArray[np.float64]:
    offsets = np.arange(-12, 13)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.convolve(values, kernel, mode="same")


def similarity(profiles: Profiles, others: Profiles) -> npt.NDArray[np.float32]:
    """Return the correlation of all pairs of profiles at their best shift, ``[profiles, others]``."""
    return best_correlation(profiles.astype(np.float32), others.astype(np.float32), _MAX_SHIFT)


def link_threshold(profiles: Profiles) -> float:
    """Choose the similarity above which two strips count as one coil.

    A profile resembles the *mirrored* profile of another strip only by chance; above the threshold there
    are at most ``_FALSE_LINKS`` such pairs per strip. Of many strips an even choice is compared with all.
    """
    bins = np.linspace(-1, 1, 2001)
    counts = np.zeros(len(bins) - 1, dtype=np.int64)
    chosen = np.unique(np.linspace(0, len(profiles) - 1, min(len(profiles), _COMPARED)).astype(np.int64))
    mirrored: Profiles = profiles[:, ::-1]
    for numbers in np.array_split(chosen, -(-len(chosen) // 512)):
        chance = similarity(profiles[numbers], mirrored)
        chance[np.arange(len(numbers)), numbers] = -1  # a strip and its own mirror
        counts += np.histogram(chance, bins)[0]
    above = np.cumsum(counts[::-1])[::-1] / len(chosen)
    enough = np.flatnonzero(above <= _FALSE_LINKS)
    return max(_LEAST_SIMILARITY, float(bins[enough[0]]) if enough.size else 1.0)


def group_profiles(profiles: Profiles) -> list[list[int]]:
    """Return groups of indices of profiles, ``[strips, 200]``, that are alike (single linkage)."""
    rows = profiles.astype(np.float32)
    pairs = similar_pairs(rows, link_threshold(profiles), "comparing strips", _MAX_SHIFT)
    return join_pairs(len(profiles), pairs)


def group_strips(strips: Sequence[LabelledStrip]) -> list[list[int]]:
    """Return groups of indices of strips that look like photographs of one coil."""
    profiles = [
        streak_profile(strip.load()[0])
        for strip in tqdm(strips, "reading strips", unit="strip", leave=False, dynamic_ncols=True)
    ]
    return group_profiles(np.stack(profiles))


def assign_folds(
    strips: Sequence[LabelledStrip], folds: int, seed: int, groups: Sequence[Sequence[int]] | None = None
) -> list[list[int]]:
    """Assign groups to folds so that every class, and clean strips, spread evenly.

    Groups with rare classes come first; each goes to the fold that has least of the group's classes. The
    fold with the largest group comes last.

    Args:
        strips: to assign.
        folds: number of folds.
        seed: of the order.
        groups: indices of strips that belong together; None finds them by ``group_strips``.

    Returns:
        Sorted indices of the strips of each fold.
    """
    if groups is None:
        groups = group_strips(strips)
    kinds = [[kind - CLEAN for kind in sorted(strip.classes) or [CLEAN]] for strip in strips]
    totals = np.bincount([kind for found in kinds for kind in found])
    weights = 1 / np.maximum(totals, 1)
    contents = np.array(
        [
            np.bincount([kind for i in group for kind in kinds[i]], minlength=len(totals)) * weights
            for group in groups
        ]
    )
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(-contents[order].max(axis=1), kind="stable")]
    held = np.zeros((folds, len(totals)))
    assigned: list[list[int]] = [[] for _ in range(folds)]
    for group in order.tolist():
        cost = ((held + contents[group]) ** 2 - held**2).sum(axis=1)
        # The sum breaks ties in favour of the fold that holds least in all.
        fold = int(np.argmin(cost + 1e-6 * held.sum(axis=1)))
        held[fold] += contents[group]
        assigned[fold].append(group)
    largest = [max((len(groups[group]) for group in fold), default=0) for fold in assigned]
    if max(largest) > len(strips) / folds:
        print(f"warning: {max(largest)} of {len(strips)} strips look like one coil; the folds are uneven")
    by_largest = sorted(range(folds), key=lambda fold: largest[fold])
    return [sorted(index for group in assigned[fold] for index in groups[group]) for fold in by_largest]


def read_fold_file(path: Path, strips: Sequence[LabelledStrip], folds: int) -> list[list[int]]:
    """Read a CSV with the columns ``name,fold``, folds from 1.

    Returns:
        Sorted indices of the strips of each fold.

    Raises:
        DataError: if a strip is missing in it or in two folds, or a fold is not one of 1 to ``folds``.
    """
    assigned: list[list[int]] = [[] for _ in range(folds)]
    fold_of: dict[str, str] = {}
    for line, row in read_table(path, ("name", "fold")):
        if fold_of.setdefault(row["name"], row["fold"]) != row["fold"]:
            raise DataError(f"{path}, line {line}: {row['name']} is in two folds")
    for index, strip in enumerate(strips):
        fold = fold_of.get(strip.name)
        if fold is None or not fold.isdecimal() or not 1 <= int(fold) <= folds:
            raise DataError(f"{path}: expected a fold of 1 to {folds} for {strip.name}, got {fold}")
        assigned[int(fold) - 1].append(index)
    return assigned


def split_fold(
    strips: Sequence[LabelledStrip],
    folds: int,
    fold: int,
    seed: int,
    assigned: Sequence[Sequence[int]] | None = None,
    groups: Sequence[Sequence[int]] | None = None,
) -> Split:
    """Use one fold, from 1, for the test and all others for training; fold 0 trains on all strips.

    Args:
        strips: the strips to split.
        folds: number of folds.
        fold: the fold that is the test.
        seed: of ``assign_folds``.
        assigned: indices of the strips of each fold, instead of those of ``assign_folds``.
        groups: for ``assign_folds``.

    Raises:
        ValueError: if there is no such fold, or no strip for it.
    """
    if folds < 2 or not 0 <= fold <= folds:
        raise ValueError(f"expected a fold of 0 to {folds} and at least 2 folds, got fold {fold} of {folds}")
    dealt = assigned or (assign_folds(strips, folds, seed, groups) if fold else ())
    test = set(dealt[fold - 1]) if fold else set()
    if fold and not test:
        raise ValueError(_too_few(strips, folds, groups))
    if not fold:
        strategy = "all strips train"
    else:
        strategy = "folds from a file" if assigned is not None else STRATEGY if groups is None else OWN_GROUPS
    return Split(
        strategy=strategy,
        seed=seed,
        test=tuple(strips[index].name for index in sorted(test)),
        validation=(),
        train=tuple(strip.name for index, strip in enumerate(strips) if index not in test),
    )


def split_strips(
    strips: Sequence[LabelledStrip], folds: int, seed: int, groups: Sequence[Sequence[int]] | None = None
) -> Split:
    """Use the first fold for the test, the second for validation and the rest for training.

    Raises:
        ValueError: if there are fewer than three folds, or no strip for one of them.
    """
    if folds < 3:
        raise ValueError(f"a split into training, validation and test needs 3 folds or more, got {folds}")
    assigned = assign_folds(strips, folds, seed, groups)

    def names(indices: Sequence[int]) -> tuple[str, ...]:
        return tuple(strips[index].name for index in sorted(indices))

    empty = [name for name, fold in zip(("test", "validation"), assigned, strict=False) if not fold]
    if empty:
        raise ValueError(_too_few(strips, folds, groups))
    return Split(
        strategy=STRATEGY if groups is None else OWN_GROUPS,
        seed=seed,
        test=names(assigned[0]),
        validation=names(assigned[1]),
        train=names([index for fold in assigned[2:] for index in fold]),
    )


def _too_few(
    strips: Sequence[LabelledStrip], folds: int, groups: Sequence[Sequence[int]] | None = None
) -> str:
    count = counted(len(strips), "strip")
    if groups is not None:
        count += f" in {counted(len(groups), 'group')}"
    verb = "does" if len(strips) == 1 else "do"
    return f"{count} {verb} not fill {folds} folds; set fewer with --folds, or train on all with --fold 0"
