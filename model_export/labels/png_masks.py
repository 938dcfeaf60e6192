"""Labels as pictures beside the images: an index of classes, a file per class, or a map of colours."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from model_export.data.image_index import ImageIndex, is_image, plain_form
from model_export.data.label_table import Key
from model_export.errors import DataError
from model_export.labels.mask_file import MaskFile
from model_export.labels.source import LabelSource, set_of

_MASK_FOLDERS = frozenset(
    (
        *("annotation", "annotations", "mask", "masks", "label", "labels", "ground_truth", "groundtruth"),
        *("gt", "segmentation", "segmentations", "segmentationclass", "train_masks", "annotated", "truth"),
    )
)
_IMAGE_FOLDERS = frozenset(
    ("image", "images", "img", "imgs", "jpegimages", "train_images", "strips", "raw", "photos")
)
_WORDS = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_truth", "-mask", "-label", "-gt", ".mask")
"""Ends of the names of masks."""
_COLOUR_FILES = ("colours.json", "colors.json", "labelmap.txt", "class_dict.csv")

Colour = tuple[int, int, int]


def find_masks(files: Sequence[str]) -> list[str]:
    """Return which pictures of a folder are masks, by their folders' and their own names."""
    pictures = [name for name in files if is_image(name)]
    masks = [name for name in pictures if _MASK_FOLDERS & set(plain_form(name).split("/")[:-1])]
    if masks:
        return masks
    stems = {_stem(name) for name in pictures}
    return [name for name in pictures if _cut(_stem(name), _WORDS) in stems - {_stem(name)}]


def read_masks(folder: Path, masks: Sequence[str], index: ImageIndex, files: Sequence[str]) -> LabelSource:
    """Read pictures of masks; an image without one is left out, since nobody says that it is clean.

    Args:
        folder: of the data set.
        masks: relative to it.
        index: of its images.
        files: all of its files.

    Raises:
        DataError: if a map of colours cannot be read.
    """
    colours, colour_file = _read_colours(folder, files)
    source = LabelSource("masks", "", not_images=list(masks))
    image_folders = {part for path in index.paths for part in plain_form(path).split("/")[:-1]}
    kinds: set[Key] = set()
    for name in masks:
        path = PurePosixPath(name)
        parts = [part for part in path.parts[:-1] if plain_form(part) not in _MASK_FOLDERS]
        of_class = [part for part in parts if plain_form(part) not in image_folders and set_of(part) is None]
        image, end = _image_of(path, [part for part in parts if part not in of_class], index)
        text = of_class[-1] if of_class else end
        kind = None if text is None else as_key(text)
        labels = source.of(image)
        if kind is not None:
            kinds.add(kind)
        labels.parts.append(MaskFile(folder / name, kind, () if kind is not None else colours))
        labels.set = labels.set or next((one for part in parts if (one := set_of(part))), None)
    if kinds:
        source.summary = f"a mask per class and image ({', '.join(map(str, sorted(kinds, key=str)))})"
    elif colours:
        source.summary = f"masks of colours, by {colour_file}"
        source.names = {name: str(name) for _, name in colours}
    else:
        source.summary = "masks whose values are classes"
    return source


def as_key(text: str) -> Key:
    """Return a class as a number, if it is written as one."""
    return int(text) if text.isdecimal() else text


def _image_of(path: PurePosixPath, parts: Sequence[str], index: ImageIndex) -> tuple[str, str | None]:
    """Return the image of a mask, and the class that the end of its name says."""
    stem = path.stem
    for base in dict.fromkeys((stem, _cut(stem, _WORDS))):
        if found := _look_up([*parts, base], index):
            return found, None
    for base in dict.fromkeys((_cut(stem, _WORDS), stem)):
        for separator in "_-.":
            start, _, kind = base.rpartition(separator)
            if not start or not kind:
                continue
            for name in dict.fromkeys((start, _cut(start, _WORDS))):
                if found := _look_up([*parts, name], index):
                    return found, kind
    return str(path), None


def _look_up(parts: Sequence[str], index: ImageIndex) -> str | None:
    try:
        return index.find("/".join(parts))
    except DataError:
        return None


def _cut(stem: str, ends: Sequence[str]) -> str:
    end = next((end for end in ends if plain_form(stem).endswith(end)), "")
    return stem[: -len(end)] if end else stem


def _stem(name: str) -> str:
    return str(PurePosixPath(plain_form(name)).with_suffix(""))


def _read_colours(folder: Path, files: Sequence[str]) -> tuple[tuple[tuple[Colour, Key], ...], str | None]:
    """Return the classes of colours, and the file that says them."""
    known = [name for name in files if PurePosixPath(name).name.casefold() in _COLOUR_FILES]
    if not known:
        return (), None
    path = folder / known[0]
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _PARSERS[path.suffix.casefold()](text)
        colours = tuple(
            ((int(red), int(green), int(blue)), name)
            for name, (red, green, blue) in pairs.items()
            if (int(red), int(green), int(blue)) != (0, 0, 0)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected names of classes with red, green and blue, got {error}") from error
    return colours, known[0]


def _parse_json(text: str) -> Mapping[str, Sequence[int]]:
    found = json.loads(text)
    return {
        name: [int(value[at : at + 2], 16) for at in (1, 3, 5)] if isinstance(value, str) else value
        for name, value in found.items()
    }


def _parse_cvat(text: str) -> Mapping[str, Sequence[int]]:
    """``name:red,green,blue:parts:actions`` of CVAT's and VOC's masks."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, colour = line.split(":")[:2]
            found[name] = [int(value) for value in colour.split(",")]
    return found


def _parse_csv(text: str) -> Mapping[str, Sequence[int]]:
    rows = [[field.strip() for field in row] for row in csv.reader(text.splitlines()) if row]
    return {row[0]: [int(value) for value in row[1:4]] for row in rows[1:]}


_PARSERS = {".json": _parse_json, ".txt": _parse_cvat, ".csv": _parse_csv}
