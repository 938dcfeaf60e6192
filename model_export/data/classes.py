"""The classes of a data set: ``classes.json`` beside its labels, or Severstal's four."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_export.data import severstal
from model_export.errors import DataError
from service.files import whole_file
from service.model.metadata import MAX_CLASSES, DefectClass

FILE = "classes.json"
"""A list of objects like ``{"id": 1, "name": "pitting"}``."""

Classes = tuple[DefectClass, ...]
"""In ascending order of ids. Everywhere but in files a class is its position in them, from 0."""

_LIST = TypeAdapter(list[DefectClass])


def read_classes(folder: Path) -> Classes:
    """Return the classes of a data set; Severstal's four if it has no ``classes.json``.

    Raises:
        DataError: if the file is not a list of 1 to 32 classes with ids and names of their own.
    """
    path = folder / FILE
    if not path.is_file():
        return severstal.CLASSES
    try:
        found = _LIST.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        raise DataError(
            f'{path}: expected a list like [{{"id": 1, "name": "pitting"}}], got {_reason(error)}'
        ) from error
    return check_classes(found, str(path))


def check_classes(found: Sequence[DefectClass], source: str) -> Classes:
    """Return classes in ascending order of ids.

    Args:
        found: in any order.
        source: of the classes, for the message.

    Raises:
        DataError: if there are none or more than 32, or two share an id or a name.
    """
    if not 1 <= len(found) <= MAX_CLASSES:
        raise DataError(f"{source}: expected 1 to {MAX_CLASSES} classes, got {len(found)}")
    for kind in ("id", "name"):
        values = [getattr(one, kind) for one in found]
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise DataError(f"{source}: expected classes with {kind}s of their own, got {twice[0]!r} twice")
    return tuple(sorted(found, key=lambda one: one.id))


def write_classes(classes: Sequence[DefectClass], folder: Path) -> None:
    """Write ``classes.json``."""
    with whole_file(folder / FILE) as unfinished:
        plain = [one.model_dump(include={"id", "name"}) for one in classes]
        unfinished.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_same(expected: Classes, folder: Path, owner: str) -> None:
    """Check that a data set has the classes of a model.

    Names are compared where the data set names its classes.

    Args:
        expected: classes of the model.
        folder: of the data set.
        owner: of the classes that are expected, for the message.

    Raises:
        DataError: if ids or names differ.
    """
    found = read_classes(folder)
    named = (folder / FILE).is_file()
    if [_key(one, named) for one in found] != [_key(one, named) for one in expected]:
        raise DataError(
            f"{folder} has other classes than {owner}: expected {listed(expected)}; got {listed(found)}"
            + ("" if named else f", since it has no {FILE}")
        )


def listed(classes: Sequence[DefectClass]) -> str:
    """Return classes as messages list them."""
    return ", ".join(f"{one.id} {one.name}" for one in classes)


def _key(kind: DefectClass, named: bool) -> tuple[int, str]:
    return kind.id, kind.name if named else ""


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
