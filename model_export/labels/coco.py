"""Labels in COCO's JSON, as CVAT, Roboflow and ``steel predict`` write it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_export.data.label_table import Key
from model_export.errors import DataError
from model_export.labels.json_file import read_json
from model_export.labels.parts import CocoRuns, Part, Polygons
from model_export.labels.source import ImageLabels, LabelSource, SetName, set_of


def is_coco(document: object) -> bool:
    """Return whether JSON is COCO's."""
    return isinstance(document, dict) and {"images", "annotations", "categories"} <= document.keys()


def read_coco(folder: Path, files: Sequence[str], *, row_major: bool = False) -> LabelSource:
    """Read COCO's JSON; an image of its list without an annotation is clean, one beside the list is left out.

    Args:
        folder: of the data set.
        files: one file, or one for each set, such as ``instances_train.json``, relative to the folder.
        row_major: whether run-length codes number pixels along rows.

    Raises:
        DataError: if a file is not in COCO's format.
    """
    source = LabelSource("coco", f"COCO's JSON {', '.join(files)}")
    names: dict[Key, str] = {}
    for path in (folder / name for name in files):
        document = read_json(path)
        if not is_coco(document):
            raise DataError(f"{path}: expected COCO's images, annotations and categories")
        try:
            beside = path.parent.relative_to(folder) if path.is_relative_to(folder) else None
            set_name = _set_of_file(path) if len(files) > 1 else None
            _read(_located(document, folder, beside), source, names, row_major, set_name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{path} is not a valid file of COCO: {_explain(error)}") from error
    used = {kind for labels in source.labels.values() for kind in kinds_of(labels.parts)}
    if 0 in names and 0 not in used:  # Roboflow's first category is the name of the project
        source.notes.append(f"category 0, {names.pop(0)!r}, has no annotation and is ignored")
    source.names = names
    return source


def _located(document: Mapping[str, Any], folder: Path, beside: Path | None) -> Mapping[str, Any]:
    """Return a document whose images beside it have the path from the folder of the data set."""
    if beside is None or beside == Path():
        return document
    images = [
        {**image, "file_name": (beside / name).as_posix()} if (folder / beside / name).is_file() else image
        for image in document["images"]
        for name in [str(image["file_name"])]
    ]
    return {**document, "images": images}


def _explain(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def _set_of_file(path: Path) -> SetName | None:
    """Return the set of a file: by the last word of its name, else by its folder."""
    words = path.stem.casefold().replace("-", "_").split("_")
    return next((found for word in reversed(words) if (found := set_of(word))), set_of(path.parent.name))


def kinds_of(parts: Iterable[Part]) -> set[Key]:
    """Return the classes of parts that say theirs before they are drawn."""
    return {part.kind for part in parts if isinstance(part, (CocoRuns, Polygons))}


def _read(
    document: Mapping[str, Any],
    source: LabelSource,
    names: dict[Key, str],
    row_major: bool,
    set_name: SetName | None,
) -> None:
    for category in document["categories"]:
        number, name = int(category["id"]), str(category["name"])
        if names.setdefault(number, name) != name:
            raise ValueError(f"category {number} is {names[number]!r} and {name!r}")
    images: dict[Any, ImageLabels] = {}
    listed: Counter[str] = Counter()
    for image in document["images"]:
        name = str(image["file_name"])
        listed[name] += 1
        if image["id"] in images:
            raise ValueError(f"two images have the id {image['id']!r}")
        labels = source.of(name)
        if labels.set is not None and labels.set != set_name:
            labels.problems.append(f"it is in two sets, {labels.set} and {set_name}")
        labels.set = set_name
        if image.get("width") and image.get("height"):
            labels.size = int(image["height"]), int(image["width"])
        images[image["id"]] = labels
    for name in (name for name, count in listed.items() if count > 1):
        source.of(name).problems.append("the label file lists it twice")
    for annotation in document["annotations"]:
        labels = images.get(annotation["image_id"], _NOBODY)
        if labels is _NOBODY:
            raise ValueError(f"annotation {annotation.get('id')} is of an image that is not listed")
        kind = int(annotation["category_id"])
        if kind not in names:
            raise ValueError(f"annotation {annotation.get('id')} has a category {kind} that is not listed")
        segmentation = annotation.get("segmentation")
        if isinstance(segmentation, dict):
            labels.parts.append(
                CocoRuns(kind, segmentation.get("size"), segmentation.get("counts"), row_major)
            )
        elif isinstance(segmentation, list) and segmentation:
            rings = segmentation if isinstance(segmentation[0], (list, tuple)) else [segmentation]
            labels.parts.append(Polygons(kind, rings))
        else:
            labels.problems.append(f"expected a mask, got a box only (annotation {annotation.get('id')})")


_NOBODY = ImageLabels()
