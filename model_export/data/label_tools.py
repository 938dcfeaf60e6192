"""Exports of labelling tools: Label Studio's JSON, and COCO's JSON as CVAT writes it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pycocotools.mask

from model_export.data.severstal import CLASSES, HEIGHT, WIDTH
from model_export.errors import DataError
from service.geometry import ColumnMask
from service.masks import label_studio, rle

TURNED = (
    "the tool turned the picture by its EXIF orientation, so that masks do not fit the stored pixels; label "
    "the copies that steel predict --write strips makes"
)


@dataclass(frozen=True)
class CorrectedLabels:
    """Labels of an export."""

    labels: Mapping[str, Sequence[str]]
    """Four run-length codes by the tool's path of a strip; empty where there is no mask."""
    unlabelled: int
    """Number of strips without a submitted annotation."""


def read_export(path: Path, class_names: Sequence[str]) -> CorrectedLabels:
    """Read an export in Label Studio's or COCO's format, recognised by its content.

    Args:
        path: the file.
        class_names: names of the classes 1 to 4 in the tool.

    Raises:
        DataError: naming the strip, if a label is not a mask of one of these classes.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    try:
        if isinstance(document, list):
            return _label_studio(document, class_names)
        if {"images", "annotations", "categories"} <= document.keys():
            return _coco(document, class_names)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is not a valid export of Label Studio or COCO: {error!r}") from error
    raise DataError(
        f"{path}: expected Label Studio's list of tasks or COCO's images, annotations and categories, got "
        f"{', '.join(sorted(document)[:9])}"
    )


class _StripMasks:
    """Masks of one strip, collected region by region."""

    def __init__(self, name: str, class_names: Sequence[str]) -> None:
        self.name = name
        self._names = class_names
        self._masks: dict[int, ColumnMask] = {}

    def add(self, label: str, mask: ColumnMask) -> None:
        """Add a part, bool ``[width, height]``, to the class of its label."""
        if label not in self._names:
            raise DataError(
                f"{self.name}: expected a label of {', '.join(map(repr, self._names))}, got {label!r}; "
                f"--class-names sets the names of the classes 1 to {len(CLASSES)}"
            )
        class_id = self._names.index(label) + 1
        self._masks[class_id] = self._masks.get(class_id, np.zeros_like(mask)) | mask

    def check_size(self, width: object, height: object) -> None:
        """Raise DataError unless the strip has the expected size."""
        if (width, height) != (WIDTH, HEIGHT):
            hint = f"; {TURNED}" if (width, height) == (HEIGHT, WIDTH) else ""
            raise DataError(f"{self.name}: expected {WIDTH}x{HEIGHT} pixels, got {width}x{height}{hint}")

    @property
    def codes(self) -> list[str]:
        """Four run-length codes."""
        nothing = np.zeros((WIDTH, HEIGHT), dtype=np.bool_)
        return [rle.encode(self._masks.get(number, nothing)) for number in range(1, len(CLASSES) + 1)]


def _label_studio(tasks: list[dict[str, Any]], class_names: Sequence[str]) -> CorrectedLabels:
    labels: dict[str, list[str]] = {}
    open_tasks = 0
    for task in tasks:
        done = [one for one in task.get("annotations", ()) if not one.get("was_cancelled")]
        if not done:
            open_tasks += 1
            continue
        strip = _StripMasks(_file_of(task["data"]), class_names)
        for region in done[-1]["result"]:  # the annotation submitted last
            _add_region(strip, region)
        labels[strip.name] = strip.codes
    return CorrectedLabels(labels, open_tasks)


def _file_of(data: Mapping[str, str]) -> str:
    """Return a task's path: the one that ``steel predict`` wrote, else the path in the image's URL."""
    if "file" in data:
        return data["file"]
    address = urlsplit(data["image"])
    local = parse_qs(address.query).get("d")
    return local[0] if local else unquote(address.path)


def _add_region(strip: _StripMasks, region: Mapping[str, Any]) -> None:
    kind, value = region["type"], region["value"]
    if kind not in ("brushlabels", "polygonlabels"):
        raise DataError(
            f"{strip.name}: expected regions of the type brushlabels or polygonlabels, got {kind!r}"
        )
    strip.check_size(region["original_width"], region["original_height"])
    if kind == "polygonlabels":  # in per cent of width and height
        points = np.asarray(value["points"], dtype=np.float64) * (WIDTH / 100, HEIGHT / 100)
        mask = _mask(strip.name, [points.reshape(-1).tolist()])
    else:
        try:
            mask = label_studio.decode(value["rle"], height=HEIGHT, width=WIDTH)
        except rle.RleError as error:
            raise DataError(f"{strip.name}: {error}") from error
    for label in value[kind]:
        strip.add(label, mask)


def _coco(document: Mapping[str, Any], class_names: Sequence[str]) -> CorrectedLabels:
    names = {category["id"]: category["name"] for category in document["categories"]}
    strips = {image["id"]: _StripMasks(image["file_name"], class_names) for image in document["images"]}
    for image in document["images"]:
        strips[image["id"]].check_size(image["width"], image["height"])
    for annotation in document["annotations"]:
        strip = strips[annotation["image_id"]]
        if not annotation.get("segmentation"):
            raise DataError(f"{strip.name}: expected a mask, got a box only (annotation {annotation['id']})")
        strip.add(names[annotation["category_id"]], _mask(strip.name, annotation["segmentation"]))
    return CorrectedLabels({strip.name: strip.codes for strip in strips.values()}, 0)


def _mask(name: str, segmentation: Any) -> ColumnMask:
    """Decode polygons or a run-length code of COCO into bool ``[width, height]``."""
    try:
        if isinstance(segmentation, list) or isinstance(segmentation["counts"], list):
            codes = pycocotools.mask.frPyObjects(segmentation, HEIGHT, WIDTH)
            segmentation = pycocotools.mask.merge(codes) if isinstance(codes, list) else codes
        mask = pycocotools.mask.decode(segmentation)
    except Exception as error:  # its compiled code raises plain Exception
        raise DataError(f"{name}: invalid segmentation: {error}") from error
    if mask.shape != (HEIGHT, WIDTH):
        raise DataError(
            f"{name}: expected a mask of {WIDTH}x{HEIGHT} pixels, got {mask.shape[1]}x{mask.shape[0]}"
        )
    return np.ascontiguousarray(mask.T, dtype=np.bool_)


def find_image(name: str, images: Iterable[str]) -> str:
    """Return the image that a tool's path ends with; the path may have folders in front of it.

    Raises:
        DataError: if there is none, or more than one.
    """
    known = set(images)
    parts = name.strip("/").split("/")
    for start in range(len(parts)):
        path = "/".join(parts[start:])
        if path in known:
            return path
    # Label Studio puts eight digits and a dash in front of the name of an uploaded file.
    matches = [path for path in known if parts[-1].endswith(f"-{path.rsplit('/', 1)[-1]}")]
    if len(matches) != 1:
        found = ", ".join(sorted(matches)) or "none"
        raise DataError(f"{name}: expected one image of this name, got {found}")
    return matches[0]
