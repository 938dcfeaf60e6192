"""Labels as people corrected them: exports of Label Studio and COCO's JSON, as CVAT writes it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pycocotools.mask

from model_export.errors import DataError
from service.geometry import CLASS_COUNT, HEIGHT, WIDTH, ColumnMask
from service.masks import label_studio, rle


@dataclass(frozen=True)
class Corrected:
    """What an export holds."""

    labels: Mapping[str, Sequence[str]]
    """By the path that the tool has for a strip: four run-length codes, empty where there is no mask."""
    open: int
    """Strips that nobody has looked at yet."""


def read_export(path: Path, class_names: Sequence[str]) -> Corrected:
    """Read Label Studio's JSON or COCO's, whichever it is.

    Args:
        path: of the file.
        class_names: of the classes 1 to 4, as the labels are called in the tool.

    Raises:
        DataError: naming the strip, if something is not a mask of one of these classes.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable as JSON: {error}") from error
    try:
        if isinstance(document, list):
            return _label_studio(document, class_names)
        if {"images", "annotations", "categories"} <= document.keys():
            return _coco(document, class_names)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is not as Label Studio or COCO write it: {error!r}") from error
    raise DataError(
        f"{path} is neither: Label Studio's JSON is a list of tasks, COCO's has images, annotations and "
        f"categories; this has {', '.join(sorted(document)[:9])}"
    )


class _Strip:
    """Masks of one strip, drawn part by part."""

    def __init__(self, name: str, class_names: Sequence[str]) -> None:
        self.name = name
        self._names = class_names
        self._masks: dict[int, ColumnMask] = {}

    def add(self, label: str, mask: ColumnMask) -> None:
        """Add a part, bool ``[width, height]``, to what its label means."""
        if label not in self._names:
            raise DataError(
                f"{self.name}: the label {label!r} is none of {', '.join(map(repr, self._names))}; "
                f"--class-names says what the classes 1 to {CLASS_COUNT} are called"
            )
        class_id = self._names.index(label) + 1
        self._masks[class_id] = self._masks.get(class_id, np.zeros_like(mask)) | mask

    def check_size(self, width: object, height: object) -> None:
        """Refuse a strip of another size."""
        if (width, height) != (WIDTH, HEIGHT):
            raise DataError(f"{self.name} is {width}x{height}, {WIDTH}x{HEIGHT} is wanted")

    @property
    def codes(self) -> list[str]:
        """Four run-length codes."""
        nothing = np.zeros((WIDTH, HEIGHT), dtype=np.bool_)
        return [rle.encode(self._masks.get(number, nothing)) for number in range(1, CLASS_COUNT + 1)]


def _label_studio(tasks: list[dict[str, Any]], class_names: Sequence[str]) -> Corrected:
    labels: dict[str, list[str]] = {}
    open_tasks = 0
    for task in tasks:
        done = [one for one in task.get("annotations", ()) if not one.get("was_cancelled")]
        if not done:
            open_tasks += 1
            continue
        strip = _Strip(_file_of(task["data"]), class_names)
        for region in done[-1]["result"]:  # the last that somebody submitted
            _add_region(strip, region)
        labels[strip.name] = strip.codes
    return Corrected(labels, open_tasks)


def _file_of(data: Mapping[str, str]) -> str:
    """Find a task's path: as ``steel predict`` wrote it, or else out of the image's address."""
    if "file" in data:
        return data["file"]
    address = urlsplit(data["image"])
    local = parse_qs(address.query).get("d")
    return local[0] if local else unquote(address.path)


def _add_region(strip: _Strip, region: Mapping[str, Any]) -> None:
    kind, value = region["type"], region["value"]
    if kind not in ("brushlabels", "polygonlabels"):
        raise DataError(
            f"{strip.name} has a region of the type {kind!r}; brushlabels and polygonlabels are masks"
        )
    strip.check_size(region["original_width"], region["original_height"])
    if kind == "polygonlabels":  # in hundredths of the width and the height
        points = np.asarray(value["points"], dtype=np.float64) * (WIDTH / 100, HEIGHT / 100)
        mask = _mask(strip.name, [points.reshape(-1).tolist()])
    else:
        try:
            mask = label_studio.decode(value["rle"], height=HEIGHT, width=WIDTH)
        except rle.RleError as error:
            raise DataError(f"{strip.name}: {error}") from error
    for label in value[kind]:
        strip.add(label, mask)


def _coco(document: Mapping[str, Any], class_names: Sequence[str]) -> Corrected:
    names = {category["id"]: category["name"] for category in document["categories"]}
    strips = {image["id"]: _Strip(image["file_name"], class_names) for image in document["images"]}
    for image in document["images"]:
        strips[image["id"]].check_size(image["width"], image["height"])
    for annotation in document["annotations"]:
        strip = strips[annotation["image_id"]]
        if not annotation.get("segmentation"):
            raise DataError(f"{strip.name} has a box without a mask (annotation {annotation['id']})")
        strip.add(names[annotation["category_id"]], _mask(strip.name, annotation["segmentation"]))
    return Corrected({strip.name: strip.codes for strip in strips.values()}, 0)


def _mask(name: str, segmentation: Any) -> ColumnMask:
    """Read polygons or a code of COCO as bool ``[width, height]``."""
    try:
        if isinstance(segmentation, list) or isinstance(segmentation["counts"], list):
            codes = pycocotools.mask.frPyObjects(segmentation, HEIGHT, WIDTH)
            segmentation = pycocotools.mask.merge(codes) if isinstance(codes, list) else codes
        mask = pycocotools.mask.decode(segmentation)
    except Exception as error:  # its compiled code raises bare ones
        raise DataError(f"{name}: the segmentation cannot be read: {error}") from error
    if mask.shape != (HEIGHT, WIDTH):
        raise DataError(f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]}, {WIDTH}x{HEIGHT} is wanted")
    return np.ascontiguousarray(mask.T, dtype=np.bool_)


def image_of(name: str, images: Iterable[str]) -> str:
    """Find an image by the path that a tool has for it, which may have more folders before it.

    Raises:
        DataError: if there is none, or more than one.
    """
    known = set(images)
    parts = name.strip("/").split("/")
    for start in range(len(parts)):
        path = "/".join(parts[start:])
        if path in known:
            return path
    # Label Studio puts eight digits and a dash before the name of an uploaded file.
    matches = [path for path in known if parts[-1].endswith(f"-{path.rsplit('/', 1)[-1]}")]
    if len(matches) != 1:
        found = ", ".join(sorted(matches)) or "none"
        raise DataError(f"{name}: one image of that name is wanted, found {found}")
    return matches[0]
