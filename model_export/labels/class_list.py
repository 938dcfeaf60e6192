"""The classes of a data set: ids and names from its labels, its ``classes.json`` or the command line."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_export.data import severstal
from model_export.data.classes import FILE, Classes, check_classes, listed, read_classes
from model_export.data.label_table import Key
from model_export.errors import DataError
from model_export.labels.source import LabelSource
from service.model.metadata import MAX_CLASS_ID, MAX_CLASSES, DefectClass

_BORDER = 255
"""Value that many tools give to pixels of masks that belong to no class."""
_FROM_ZERO = "classes are counted from 0 in the labels and from 1 here"


@dataclass
class ClassList:
    """The classes of a data set, and what its labels call them."""

    classes: Classes
    ids: Mapping[Key, int]
    """Id by what the labels write; what is not in it is ignored."""
    notes: list[str] = field(default_factory=list)


def list_classes(source: LabelSource, used: Counter[Key], folder: Path, names: Sequence[str]) -> ClassList:
    """Return the classes of a data set.

    Args:
        source: its labels.
        used: classes that images show, as the labels write them, with the number of images.
        folder: of the data set, which may have a ``classes.json``.
        names: those of the command line, in the order of ids; none takes what the data set says.

    Raises:
        DataError: if the labels show a class that has no id.
    """
    notes: list[str] = []
    kinds = list(dict.fromkeys([*source.names, *sorted(used, key=_order)]))
    border = source.format == "masks" and _BORDER in used
    if border and len(used) > 1:
        kinds.remove(_BORDER)
        notes.append(f"value 255 on {used[_BORDER]} masks is the border of no class, ignored")
    elif border:
        notes.append("masks of 0 and 255: one class, id 1")
        return ClassList(_one_class(folder, names), {_BORDER: 1}, notes)
    _check_count(kinds)
    if names or (folder / FILE).is_file():
        return _of_list(_named(names) if names else read_classes(folder), kinds, source, notes)
    if not kinds:
        return ClassList(severstal.CLASSES, {}, [*notes, "no label shows a class"])
    if all(isinstance(kind, int) for kind in kinds):
        return _of_numbers(kinds, source, notes)
    return _of_names(kinds, source, notes)


def _order(kind: Key) -> tuple[bool, Key]:
    return isinstance(kind, str), kind


def _named(names: Sequence[str]) -> Classes:
    return check_classes(
        [DefectClass(id=number, name=name) for number, name in enumerate(names, 1)], "--class-names"
    )


def _one_class(folder: Path, names: Sequence[str]) -> Classes:
    if not names and (folder / FILE).is_file():
        return read_classes(folder)
    return _named(names or ("defect",))


def _of_list(classes: Classes, kinds: Sequence[Key], source: LabelSource, notes: list[str]) -> ClassList:
    """Match what the labels write with classes that are known."""
    by_name = {one.name: one.id for one in classes} | {one.name.casefold(): one.id for one in classes}
    known = {one.id for one in classes}
    shift = _shift(kinds, source)
    ids: dict[Key, int] = {}
    for kind in kinds:
        text = source.names.get(kind, kind)
        found = by_name.get(text, by_name.get(text.casefold())) if isinstance(text, str) else None
        if found is None and isinstance(text, int) and text + shift in known:
            found = text + shift
        if found is None:
            raise DataError(
                f"the labels have a class {text!r}, expected one of "
                f"{listed(classes)}; --class-names names all classes in the order of their ids, --ignore "
                "leaves some out"
            )
        ids[kind] = found
    if len(set(ids.values())) < len(ids):
        twice = Counter(ids.values()).most_common(1)[0][0]
        alike = ", ".join(str(kind) for kind, number in ids.items() if number == twice)
        raise DataError(f"several classes of the labels would be class {twice}: {alike}")
    if shift and any(isinstance(source.names.get(kind, kind), int) for kind in kinds):
        notes.append(_FROM_ZERO)
    return ClassList(classes, ids, notes)


def _shift(kinds: Sequence[Key], source: LabelSource) -> int:
    """Return what is added to the numbers of classes: YOLO's, and others that begin with 0, count from 0."""
    return int(source.format == "yolo" or 0 in kinds)


def _of_numbers(kinds: Sequence[Key], source: LabelSource, notes: list[str]) -> ClassList:
    shift = _shift(kinds, source)
    ids: dict[Key, int] = {kind: kind + shift for kind in kinds if isinstance(kind, int)}
    least, most = min(ids.values()), max(ids.values())
    if least < 1 or most > MAX_CLASS_ID:
        raise DataError(f"expected classes of ids from 1 to {MAX_CLASS_ID}, got {least} to {most}")
    if shift:
        notes.append(_FROM_ZERO)
    severstals = {one.id: one.name for one in severstal.CLASSES}
    if not source.names and set(ids.values()) <= severstals.keys() and source.format == "kaggle":
        notes.append("without names: those of Severstal's four classes are taken; --class-names gives others")
        return ClassList(severstal.CLASSES, ids, notes)
    if not source.names:
        notes.append("the labels have no names of classes; --class-names gives them")
    classes = [
        DefectClass(id=number, name=source.names.get(kind) or f"class {number}")
        for kind, number in ids.items()
    ]
    return ClassList(check_classes(classes, "the labels"), ids, notes)


def _of_names(kinds: Sequence[Key], source: LabelSource, notes: list[str]) -> ClassList:
    names = [str(source.names.get(kind, kind)) for kind in kinds]
    alike = Counter(name.strip().casefold() for name in names)
    for name, count in alike.items():
        if count > 1:
            raise DataError(
                f"the labels have {count} classes that differ only by case or spaces: "
                f"{[one for one in names if one.strip().casefold() == name]}; rename them in the tool"
            )
    severstals = {one.name: one.id for one in severstal.CLASSES}
    if set(names) == severstals.keys():
        return ClassList(severstal.CLASSES, {kind: severstals[str(kind)] for kind in kinds}, notes)
    if not source.names:
        notes.append("ids are given in the order of the alphabet; --class-names sets another order")
    classes = [DefectClass(id=number, name=name) for number, name in enumerate(names, 1)]
    return ClassList(
        check_classes(classes, "the labels"), {kind: number for number, kind in enumerate(kinds, 1)}, notes
    )


def _check_count(kinds: Sequence[Key]) -> None:
    if len(kinds) > MAX_CLASSES:
        some = ", ".join(map(str, kinds[:12]))
        raise DataError(
            f"expected at most {MAX_CLASSES} classes, got {len(kinds)}: {some}, …; are the masks "
            "photographs, or resized with interpolation?"
        )
