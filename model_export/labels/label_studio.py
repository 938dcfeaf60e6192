"""Labels of Label Studio: its JSON and its JSON-MIN."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from model_export.data.image_index import is_image
from model_export.errors import DataError
from model_export.labels.json_file import read_json
from model_export.labels.parts import Brush, Part, Polygons
from model_export.labels.source import ImageLabels, LabelSource

_LABELS = ("brushlabels", "polygonlabels", "labels")
_BOXES = ("rectangle", "ellipse", "keypoint", "vector", "video")
"""Beginnings of the types of regions that are no masks."""
_OF_TASK = frozenset(
    ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "file", "agreement")
)
"""Fields of JSON-MIN that are no tags."""


def is_label_studio(document: object) -> bool:
    """Return whether JSON is a list of tasks of Label Studio."""
    return (
        isinstance(document, list)
        and all(isinstance(task, dict) for task in document)
        and all("data" in task or "annotation_id" in task or "annotator" in task for task in document[:20])
    )


def read_label_studio(path: Path) -> LabelSource:
    """Read an export of Label Studio.

    A task that was submitted without a region is a clean image; one that nobody submitted, or that was
    skipped, is left out. Of several annotations the ground truth counts, else the last.

    Args:
        path: of the JSON or JSON-MIN.

    Raises:
        DataError: if it is none of them.
    """
    tasks = read_json(path)
    if not is_label_studio(tasks):
        raise DataError(f"{path}: expected Label Studio's list of tasks")
    minimal = bool(tasks) and not any("data" in task for task in tasks)
    source = LabelSource("label-studio", f"Label Studio's {'JSON-MIN' if minimal else 'JSON'} {path.name}")
    for number, task in enumerate(tasks):
        try:
            if "data" in task:
                _read_task(task, source)
            else:
                _read_minimal(task, source)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise DataError(
                f"{path} is not a valid export of Label Studio: task {task.get('id', number)}: {error!r}"
            ) from error
    return source


def _file_of(data: Mapping[str, Any]) -> str:
    """Return a task's path: the one that ``steel predict`` wrote, else the path in the image's URL."""
    if "file" in data:
        return str(data["file"])
    texts = [value for value in data.values() if isinstance(value, str)]
    address = data.get("image")
    if not isinstance(address, str):
        address = (
            next((text for text in texts if is_image(unquote(text.partition("?")[0]))), None) or texts[0]
        )
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _read_task(task: Mapping[str, Any], source: LabelSource) -> None:
    name = _file_of(task["data"])
    annotations = task.get("annotations", task.get("completions")) or []
    done = [one for one in annotations if not (one.get("was_cancelled") or one.get("skipped"))]
    source.ignored["skipped annotations"] += len(annotations) - len(done)
    if not done:
        source.unlabelled.append(name)
        return
    truth = [one for one in done if one.get("ground_truth")]
    chosen = (truth or done)[-1]
    source.ignored["further annotations of a task"] += len(done) - 1
    _add_once(source, name, _regions(chosen["result"], source))


def _add_once(source: LabelSource, name: str, labels: ImageLabels) -> None:
    """Keep the labels of an image; of several tasks the last counts."""
    source.ignored["earlier tasks of an image"] += name in source.labels
    source.labels[name] = labels


def _regions(results: Sequence[Mapping[str, Any]], source: LabelSource) -> ImageLabels:
    """Join the results of an annotation; one region may be several of them, with the same id."""
    labels = ImageLabels()
    regions: dict[object, list[Mapping[str, Any]]] = defaultdict(list)
    for number, result in enumerate(results):
        kind = str(result.get("type", ""))
        value = result.get("value")
        if kind.startswith(_BOXES):
            labels.problems.append(f"expected regions of the type brushlabels or polygonlabels, got {kind!r}")
        elif isinstance(value, dict) and ({"rle", "points"} & value.keys() or kind in _LABELS):
            regions[result.get("id", number)].append(result)
        else:
            source.ignored[kind or "results without a type"] += 1
    for parts in regions.values():
        _add_region(parts, labels)
    return labels


def _add_region(results: Sequence[Mapping[str, Any]], labels: ImageLabels) -> None:
    names = list(dict.fromkeys(name for one in results for name in _names_of(one["value"])))
    shape = next((one for one in results if {"rle", "points"} & one["value"].keys()), None)
    if shape is None:
        raise ValueError("a region has neither rle nor points")
    size = int(shape["original_height"]), int(shape["original_width"])
    labels.size = labels.size or size
    if not names:
        labels.problems.append("a region has no label")
    elif shape.get("image_rotation"):
        labels.problems.append(f"the picture was turned by {shape['image_rotation']} degrees in the tool")
    elif labels.size != size:
        sizes = " and of ".join(f"{width}x{height}" for height, width in (labels.size, size))
        labels.problems.append(f"its regions are of pictures of {sizes} pixels")
    else:
        labels.parts += _parts(names, shape["value"], size)


def _names_of(value: Mapping[str, Any]) -> list[str]:
    return [str(name) for key in _LABELS for name in value.get(key, ())]


def _parts(names: Sequence[str], value: Mapping[str, Any], size: tuple[int, int]) -> Iterator[Part]:
    if "rle" in value:
        yield Brush(names, value["rle"], size)
        return
    ring = np.asarray(value["points"], dtype=np.float64).reshape(-1).tolist()
    for name in names:
        yield Polygons(name, [ring], "percent")


def _read_minimal(task: Mapping[str, Any], source: LabelSource) -> None:
    labels = ImageLabels()
    data = {key: value for key, value in task.items() if isinstance(value, str)}
    for tag, values in task.items():
        if tag in _OF_TASK or isinstance(values, str):
            continue
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, dict):
                source.ignored["tags of other kinds"] += value is not None
            elif {"rle", "points"} & value.keys():
                _add_region([{**value, "value": value}], labels)
            elif any(key.startswith(_BOXES) for key in value):
                labels.problems.append("expected brushes and polygons, got a box")
            else:
                source.ignored[next(iter(value), "tags of other kinds")] += 1
    _add_once(source, _file_of(data), labels)
