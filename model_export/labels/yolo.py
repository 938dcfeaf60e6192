"""Labels as YOLO's polygons: a text file per image, and a yaml with the names of classes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from model_export.data.image_index import plain_form
from model_export.data.label_table import Key
from model_export.errors import DataError
from model_export.labels.parts import Polygons
from model_export.labels.source import ImageLabels, LabelSource, SetName, set_of

_NOT_LABELS = frozenset(
    (
        "classes.txt",
        "obj.names",
        "train.txt",
        "val.txt",
        "test.txt",
        "readme.txt",
        "labelmap.txt",
        "notes.txt",
    )
)


def find_yolo(folder: Path, files: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the yaml of a data set of YOLO's layout, if there is one, and its text files of labels."""
    texts = [
        name
        for name in files
        if name.casefold().endswith(".txt")
        and PurePosixPath(name).name.casefold() not in _NOT_LABELS
        and not PurePosixPath(name).name.casefold().startswith("readme")
    ]
    labels = [name for name in texts if "labels" in plain_form(name).split("/")[:-1]]
    if not labels and texts and all(_looks_like_labels(folder / name) for name in texts[:5]):
        labels = texts
    yamls = [name for name in files if name.casefold().endswith((".yaml", ".yml"))]
    known = [name for name in yamls if _is_data_yaml(folder / name)]
    return (known[0] if known else None), labels


def _looks_like_labels(path: Path) -> bool:
    try:
        words = path.read_text(encoding="utf-8").split("\n", 1)[0].split()
        return all(word.replace(".", "").replace("-", "").replace("e", "").isdecimal() for word in words)
    except (OSError, UnicodeError):
        return False


def _is_data_yaml(path: Path) -> bool:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError, yaml.YAMLError):
        return False
    return isinstance(document, dict) and "names" in document


def read_yolo(folder: Path, yaml_name: str | None, texts: Sequence[str], files: Sequence[str]) -> LabelSource:
    """Read YOLO's polygons; an image without a text file, or with an empty one, is clean, as YOLO has it.

    Args:
        folder: of the data set.
        yaml_name: file with the names of classes, relative to the folder; None looks for ``classes.txt``.
        texts: files of labels, relative to the folder.
        files: all files of the folder.

    Raises:
        DataError: naming file and line, if a label cannot be understood.
    """
    names, sets = _read_yaml(folder, yaml_name, files)
    described = f"YOLO's polygons in {len(texts)} text files, " + (
        f"names by {yaml_name}" if yaml_name else "with classes.txt" if names else "without names"
    )
    source = LabelSource("yolo", described, names=names, unlabelled_is_clean=True)
    for name in texts:
        path = PurePosixPath(name)
        parts = [part for part in path.parts[:-1] if part.casefold() != "labels"]
        labels = source.of("/".join([*parts, path.stem]))
        labels.set = next((sets[part] for part in parts if part in sets), None) or next(
            (found for part in parts if (found := set_of(part))), None
        )
        _read_text(folder / name, labels, names)
    return source


def _read_text(path: Path, labels: ImageLabels, names: Mapping[Key, str]) -> None:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeError as error:
        raise DataError(f"{path} is not text in UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            kind, values = int(float(words[0])), [float(word) for word in words[1:]]
        except ValueError:
            labels.problems.append(f"{path.name}, line {number}: expected numbers, got {line[:60]!r}")
            continue
        if names and kind not in names:
            labels.problems.append(
                f"{path.name}, line {number}: expected a class of 0 to {len(names) - 1}, got {kind}"
            )
        elif len(values) == 4:
            labels.problems.append(f"{path.name}, line {number}: expected a polygon, got a box")
        else:
            labels.parts.append(Polygons(kind, [values], "fractions"))


def _read_yaml(
    folder: Path, name: str | None, files: Iterable[str]
) -> tuple[dict[Key, str], dict[str, SetName]]:
    """Return names of classes by index, and sets by the last folders of their images."""
    if name is None:
        lists = [one for one in files if PurePosixPath(one).name.casefold() in ("classes.txt", "obj.names")]
        if not lists:
            return {}, {}
        lines = (folder / lists[0]).read_text(encoding="utf-8-sig").splitlines()
        return dict(enumerate(line.strip() for line in lines if line.strip())), {}
    path = folder / name
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        listed = document["names"]
        pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
        names: dict[Key, str] = {int(number): str(text) for number, text in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, UnicodeError) as error:
        raise DataError(f"{path}: expected a list of names, got {str(error).splitlines()[0]}") from error
    sets: dict[str, SetName] = {}
    for key in ("train", "val", "test"):
        found = set_of(key)
        places = document.get(key)
        for place in places if isinstance(places, list) else [places]:
            if isinstance(place, str) and found is not None:
                parts = [
                    part for part in PurePosixPath(place).parts if part.casefold() not in ("images", "..")
                ]
                if parts:
                    sets[parts[-1]] = found
    return names, sets
