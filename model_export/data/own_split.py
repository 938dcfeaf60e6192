"""The mill's own groups and sets of images: ``groups.csv`` and ``split.csv`` beside its labels."""

from collections.abc import Sequence
from pathlib import Path

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.split import assign_folds
from model_export.data.tables import read_table
from model_export.errors import DataError
from service.errors import counted
from service.model.metadata import Split

GROUPS, SETS = "groups.csv", "split.csv"
_SETS = ("train", "validation", "test")

Groups = list[list[int]]
"""Indices of the strips that must not be separated, e.g. those of one coil."""


def read_groups(folder: Path, strips: Sequence[LabelledStrip]) -> Groups | None:
    """Read ``groups.csv``, with the columns ImageId and Group; None if there is none.

    Raises:
        DataError: if a strip has no group in it.
    """
    named = _read(folder / GROUPS, "Group", strips)
    if named is None:
        return None
    groups: dict[str, list[int]] = {}
    for index, group in enumerate(named):
        groups.setdefault(group, []).append(index)
    return sorted(groups.values())


def read_sets(folder: Path, strips: Sequence[LabelledStrip]) -> list[str] | None:
    """Read ``split.csv``, with the columns ImageId and Set; None if there is none.

    Returns:
        The set of each strip: train, validation or test.

    Raises:
        DataError: if a strip has no set in it, or none trains.
    """
    path = folder / SETS
    named = _read(path, "Set", strips)
    if named is None:
        return None
    for strip, one in zip(strips, named, strict=True):
        if one not in _SETS:
            raise DataError(f"{path}: expected {', '.join(_SETS)} for {strip.name}, got {one!r}")
    if "train" not in named:
        raise DataError(f"{path}: expected images that train, got none")
    return named


def split_sets(
    strips: Sequence[LabelledStrip],
    sets: Sequence[str],
    folds: int,
    seed: int,
    groups: Groups | None,
) -> Split:
    """Split strips as ``split.csv`` says; a fold of the training strips fills an empty set.

    Args:
        strips: all of them.
        sets: of each strip.
        folds: number of folds.
        seed: of ``assign_folds``.
        groups: of the strips.

    Raises:
        ValueError: if there are too few training strips for a fold.
    """
    parts = {name: [index for index, one in enumerate(sets) if one == name] for name in _SETS}
    missing = [name for name in _SETS if not parts[name]]
    strategy = "sets of the data set's own"
    if missing:
        pool = parts["train"]
        dealt = assign_folds(
            [strips[index] for index in pool], folds, seed, None if groups is None else subset(groups, pool)
        )
        for name, fold in zip(missing, dealt, strict=False):
            if not fold:
                raise ValueError(
                    f"{counted(len(pool), 'training strip')} do not fill {folds} folds, one of which is for "
                    f"{name}; set fewer with --folds"
                )
            parts[name] = [pool[index] for index in fold]
        taken = {index for name in missing for index in parts[name]}
        parts["train"] = [index for index in pool if index not in taken]
        strategy += f"; a fold of its training strips is for {' and another for '.join(missing)}"
    return Split(
        strategy=strategy,
        seed=seed,
        **{name: tuple(strips[index].name for index in sorted(parts[name])) for name in _SETS},
    )


def subset(groups: Groups, chosen: Sequence[int]) -> Groups:
    """Return groups of some strips, as indices among these."""
    places = {index: place for place, index in enumerate(chosen)}
    kept = [[places[index] for index in group if index in places] for group in groups]
    return [group for group in kept if group]


def _read(path: Path, column: str, strips: Sequence[LabelledStrip]) -> list[str] | None:
    if not path.is_file():
        return None
    values = {row["ImageId"]: row[column] for _, row in read_table(path, ("ImageId", column))}
    lacking = [strip.name for strip in strips if not values.get(strip.name)]
    if lacking:
        raise DataError(f"{path} names no {column} of {counted(len(lacking), 'image')}, e.g. {lacking[0]}")
    return [values[strip.name] for strip in strips]
