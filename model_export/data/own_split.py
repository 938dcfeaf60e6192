"""The mill's own groups and sets of images: ``groups.csv`` and ``split.csv`` beside its labels."""

from collections.abc import Sequence
from pathlib import Path

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.split import assign_folds
from model_export.data.tables import read_table
from model_export.errors import DataError
from service.errors import counted
from service.model.metadata import Split

GROUPS, SETS, IMAGES = "groups.csv", "split.csv", "train_images"
_SETS = ("train", "validation", "test")

Groups = list[list[int]]
"""Indices of the strips that must not be separated, e.g. those of one coil."""


def read_groups(data: Path, strips: Sequence[LabelledStrip], file: Path | None = None) -> Groups | None:
    """Read a table of groups, with the columns ImageId and Group; None if there is none.

    Args:
        data: folder of the data set, which may hold ``groups.csv``.
        strips: of the data set, or some of them.
        file: another table.

    Raises:
        DataError: if a strip has no group in it or two, or it names images that the data set lacks.
    """
    named = _read(data, GROUPS, file, "Group", strips)
    if named is None:
        return None
    groups: dict[str, list[int]] = {}
    for index, group in enumerate(named):
        groups.setdefault(group, []).append(index)
    return sorted(groups.values())


def read_sets(data: Path, strips: Sequence[LabelledStrip], file: Path | None = None) -> list[str] | None:
    """Read a table of sets, with the columns ImageId and Set; None if there is none.

    Args:
        data: folder of the data set, which may hold ``split.csv``.
        strips: of the data set, or some of them.
        file: another table.

    Returns:
        The set of each strip: train, validation or test.

    Raises:
        DataError: if a strip has no set in it or two, or it names images that the data set lacks.
    """
    path = file or data / SETS
    named = _read(data, SETS, file, "Set", strips)
    if named is None:
        return None
    sets = [one.casefold() for one in named]
    for strip, one in zip(strips, sets, strict=True):
        if one not in _SETS:
            raise DataError(f"{path}: expected {', '.join(_SETS)} for {strip.name}, got {one!r}")
    return sets


def check_apart(strips: Sequence[LabelledStrip], groups: Groups | None, parts: Sequence[object]) -> None:
    """Check that every group lies in one part.

    Args:
        strips: of the groups.
        groups: of strips that must not be separated.
        parts: set or fold of each strip, as people name it.

    Raises:
        DataError: naming two strips of a group that lie in two parts.
    """
    for group in groups or ():
        first = group[0]
        for other in group:
            if parts[other] != parts[first]:
                raise DataError(
                    f"{strips[first].name} and {strips[other].name} are of one group, and are in two parts: "
                    f"{parts[first]} and {parts[other]}"
                )


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


def _read(
    data: Path, name: str, file: Path | None, column: str, strips: Sequence[LabelledStrip]
) -> list[str] | None:
    path = file or data / name
    if file is None and not path.is_file():
        return None
    values: dict[str, str] = {}
    for line, row in read_table(path, ("ImageId", column)):
        image, value = row["ImageId"], row[column]
        if values.setdefault(image, value) != value:
            raise DataError(
                f"{path}, line {line}: {image} has two values of {column}: {values[image]} and {value}"
            )
    known = {strip.name for strip in strips}
    # Images that are left out, of this data set all the same, have a file.
    unknown = [image for image in values if image not in known and not (data / IMAGES / image).is_file()]
    if unknown:
        raise DataError(f"{path} names {counted(len(unknown), 'image')} that {data} lacks, e.g. {unknown[0]}")
    lacking = [strip.name for strip in strips if not values.get(strip.name)]
    if lacking:
        raise DataError(f"{path} names no {column} of {counted(len(lacking), 'image')}, e.g. {lacking[0]}")
    return [values[strip.name] for strip in strips]
