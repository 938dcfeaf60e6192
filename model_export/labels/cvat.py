"""Labels of CVAT: *CVAT for images*, XML."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from model_export.data.label_table import Key
from model_export.errors import DataError
from model_export.labels.parts import BoxRuns, Part, Polygons
from model_export.labels.source import ImageLabels, LabelSource, set_of

_NO_MASKS = ("box", "polyline", "points", "cuboid", "ellipse", "skeleton")


def is_cvat(path: Path) -> bool:
    """Return whether a file is XML of CVAT."""
    with path.open("rb") as file:
        return b"<annotations" in file.read(4096)


def read_cvat(path: Path) -> LabelSource:
    """Read *CVAT for images*; an image of its list without a shape is clean, one beside the list is left out.

    Args:
        path: of the XML.

    Raises:
        DataError: if it is not CVAT's.
    """
    source = LabelSource("cvat", f"CVAT's XML {path.name}")
    names: dict[Key, str] = {}
    try:
        for _, element in iterparse(str(path), events=("end",)):
            if element.tag == "label" and element.findtext("name"):
                name = str(element.findtext("name"))
                names[name] = name
            elif element.tag == "image":
                _read_image(element, source)
                element.clear()
            elif element.tag == "track":
                raise DataError(f"{path}: expected CVAT for images, got CVAT for video")
    except (ParseError, DefusedXmlException) as error:
        raise DataError(f"{path} is not valid XML: {error}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is not a valid file of CVAT for images: {error!r}") from error
    source.names = names
    return source


def _read_image(image: Element, source: LabelSource) -> None:
    name = image.attrib["name"]
    labels = ImageLabels(size=(int(image.attrib["height"]), int(image.attrib["width"])))
    labels.set = set_of(image.attrib.get("subset", ""))
    if name in source.labels:
        labels.problems.append("the label file lists it twice")
    source.labels[name] = labels
    for shape in image:
        if shape.tag in ("polygon", "mask"):
            labels.parts += _parts(shape)
        elif shape.tag in _NO_MASKS:
            labels.problems.append(
                f"expected polygons and masks, got a {shape.tag} of {shape.attrib.get('label')!r}"
            )
        else:
            source.ignored[f"{shape.tag}s"] += 1


def _parts(shape: Element) -> Iterator[Part]:
    kind = shape.attrib["label"]
    if shape.tag == "polygon":
        points = [float(value) for pair in shape.attrib["points"].split(";") for value in pair.split(",")]
        yield Polygons(kind, [points])
        return
    size = int(float(shape.attrib["height"])), int(float(shape.attrib["width"]))
    left, top = int(float(shape.attrib["left"])), int(float(shape.attrib["top"]))
    yield BoxRuns(kind, left, top, size, shape.attrib["rle"])
