"""Labels of LabelMe: a JSON file per image."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from model_export.data.image_index import ImageIndex
from model_export.errors import DataError
from model_export.labels.json_file import read_json
from model_export.labels.parts import BoxPicture, Part, PartError, Polygons
from model_export.labels.source import LabelSource, set_of


def is_labelme(document: object) -> bool:
    """Return whether JSON is LabelMe's."""
    return isinstance(document, dict) and {"shapes", "imagePath"} <= document.keys()


def read_labelme(folder: Path, names: Sequence[str], index: ImageIndex) -> LabelSource:
    """Read LabelMe's files; one without shapes is a clean image, an image without a file is left out.

    Args:
        folder: of the data set.
        names: of the files, relative to it.
        index: of its images.

    Raises:
        DataError: if a file is not LabelMe's.
    """
    source = LabelSource("labelme", f"{len(names)} files of LabelMe")
    for name in names:
        document = read_json(folder / name)
        if not is_labelme(document):
            raise DataError(f"{folder / name}: expected LabelMe's shapes and imagePath")
        image = _image_of(PurePosixPath(name), str(document["imagePath"]), index)
        labels = source.of(image)
        if labels.size is not None:
            labels.problems.append(f"two files label it, {name} is the second")
        try:
            labels.size = int(document["imageHeight"]), int(document["imageWidth"])
            source.ignored["flags"] += sum(bool(flag) for flag in (document.get("flags") or {}).values())
            for shape in document["shapes"]:
                try:
                    labels.parts.append(_part(shape))
                except PartError as error:
                    labels.problems.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{folder / name} is not a valid file of LabelMe: {error!r}") from error
        labels.set = next((found for part in PurePosixPath(name).parts[:-1] if (found := set_of(part))), None)
    return source


def _image_of(path: PurePosixPath, image: str, index: ImageIndex) -> str:
    """Return the image beside the file, else the one that the file names."""
    beside = str(path.with_name(PurePosixPath(image.replace("\\", "/")).name))
    for name in (beside, str(path.with_suffix("")), image):
        try:
            return index.find(name)
        except DataError:
            continue
    return image


def _part(shape: Mapping[str, Any]) -> Part:
    label, kind = str(shape["label"]), shape.get("shape_type", "polygon")
    if kind == "polygon":
        return Polygons(label, [np.asarray(shape["points"], dtype=np.float64).reshape(-1).tolist()])
    if kind == "mask":
        left, top = (round(value) for value in shape["points"][0])
        return BoxPicture(label, left, top, str(shape["mask"]))
    raise PartError(f"expected shapes of the type polygon or mask, got a {kind} of {label!r}")
