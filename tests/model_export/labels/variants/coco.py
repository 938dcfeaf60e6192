"""COCO's JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask
from PIL import Image

from service.masks.formats import uncompressed_coco_rle
from tests.model_export.labels.variants.scene import (
    BOXES,
    CLASSES,
    HEIGHT,
    SCENE,
    WIDTH,
    Mask,
    Variant,
    corners,
    without,
    write_images,
)

IDS = {name: number for number, name in CLASSES.items()}


def polygon(stem: str, name: str) -> list[list[float]]:
    return [corners(BOXES[stem][name])]


def uncompressed(stem: str, name: str) -> dict[str, Any]:
    return uncompressed_coco_rle(SCENE[stem][name].T)


def compressed(stem: str, name: str) -> dict[str, Any]:
    return compress(SCENE[stem][name])


def compress(mask: Mask) -> dict[str, Any]:
    found = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in found["size"]], "counts": found["counts"].decode()}


def document(segmentation: Callable[[str, str], Any] = polygon, stems: str = "abc") -> dict[str, Any]:
    """Return a file of some images of the scene."""
    annotations = [
        {
            "id": 10 * ord(stem) + IDS[name],
            "image_id": ord(stem),
            "category_id": IDS[name],
            "iscrowd": 0,
            "segmentation": segmentation(stem, name),
        }
        for stem in stems
        for name in SCENE[stem]
    ]
    return {
        "images": [
            {"id": ord(stem), "file_name": f"{stem}.png", "width": WIDTH, "height": HEIGHT} for stem in stems
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in CLASSES.items()],
    }


def file(
    change: Callable[[dict[str, Any]], object] = lambda coco: None,
    segmentation: Callable[[str, str], Any] = polygon,
) -> Callable[[Path], None]:
    """Return what writes the images and a changed file."""

    def build(folder: Path) -> None:
        write_images(folder, "images/{}.png")
        coco = document(segmentation)
        change(coco)
        (folder / "instances.json").write_text(json.dumps(coco))

    return build


def of_b(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Return what changes the annotation of b.png."""
    return lambda coco: coco["annotations"][2].update(changes)


def two_files(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    (folder / "annotations").mkdir()
    for place, stems in (("train", "ab"), ("val", "c")):
        (folder / "annotations" / f"instances_{place}.json").write_text(json.dumps(document(stems=stems)))


def roboflow(folder: Path) -> None:
    for place, stems in (("train", "ab"), ("valid", "c")):
        write_images(folder, f"{place}/{{}}.png", stems)
        coco = document(stems=stems)
        coco["categories"].insert(0, {"id": 0, "name": "defects", "supercategory": "none"})
        (folder / place / "_annotations.coco.json").write_text(json.dumps(coco))


def from_zero(coco: dict[str, Any]) -> None:
    for one in (*coco["categories"],):
        one["id"] -= 1
    for one in coco["annotations"]:
        one["category_id"] -= 1


def byte_order_mark(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    (folder / "instances.json").write_bytes(json.dumps(document()).encode("utf-8-sig"))


def no_json(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    (folder / "instances.json").write_text(json.dumps(document())[:-40])


def extra_image(folder: Path) -> None:
    file(lambda coco: coco["images"].pop())(folder)


def turned_image(folder: Path) -> None:
    file(of_b())(folder)
    path = folder / "images" / "b.png"
    exif = Image.Exif()
    exif[0x112] = 6
    Image.open(path).save(path, exif=exif)


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    return Variant("COCO", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str, *left: str, **more: object) -> Variant:
    return Variant("COCO", title, build, None, says, left=left or None, **more)  # type: ignore[arg-type]


SHORT = {"size": [HEIGHT, WIDTH], "counts": [100, 20]}

VARIANTS = [
    _v("polygons", file()),
    _v("polygons of one list", file(segmentation=lambda stem, name: corners(BOXES[stem][name]))),
    _v("run-length codes, uncompressed", file(segmentation=uncompressed)),
    _v("run-length codes, compressed", file(segmentation=compressed)),
    _v("a byte-order mark", byte_order_mark),
    _v("categories from 0", file(from_zero), "counted from 0 in the labels"),
    _v("`instances_train.json` and `instances_val.json`", two_files, "sets         train 2, validation 1"),
    _v("Roboflow's folders and its category 0", roboflow, "category 0, 'defects', has no annotation"),
    _v("an image that is not listed", extra_image, "1 image without a label, left out", gives=without("c")),
    _no(
        "counts that end early",
        file(of_b(segmentation=SHORT)),
        "expected counts that add up to 6144",
        "a",
        "c",
    ),
    _no(
        "counts that go on too long",
        file(of_b(segmentation={"size": [HEIGHT, WIDTH], "counts": [6000, 200]})),
        "expected counts that add up to 6144, 96x64 pixels, got 6200",
        "a",
        "c",
    ),
    _no(
        "compressed counts that end early",
        file(of_b(segmentation={**compress(SCENE["b"]["dent"]), "counts": "0b3"})),
        "expected counts that add up to 6144",
        "a",
        "c",
    ),
    _no(
        "compressed counts with foreign letters",
        file(of_b(segmentation={"size": [HEIGHT, WIDTH], "counts": "ÄÖ!"})),
        "expected a compressed code of COCO",
        "a",
        "c",
    ),
    _no(
        "negative counts",
        file(of_b(segmentation={"size": [HEIGHT, WIDTH], "counts": [-10, 6154]})),
        "expected counts of 0 and more, got -10",
        "a",
        "c",
    ),
    _no(
        "size as width and height",
        file(of_b(segmentation={"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]})),
        "got [96, 64]; the label is transposed",
        "a",
        "c",
    ),
    _no(
        "a polygon beyond the image",
        file(of_b(segmentation=[[80, 10, 130, 10, 130, 40]])),
        "expected a polygon within 96x64 pixels, got x 80 to 130",
        "a",
        "c",
    ),
    _no(
        "a polygon with x and y exchanged",
        file(of_b(segmentation=[[10, 10, 60, 10, 60, 90]])),
        "it fits with x and y exchanged: the label is transposed",
        "a",
        "c",
    ),
    _no(
        "a polygon of two points",
        file(of_b(segmentation=[[1, 1, 5, 5]])),
        "polygon of 3 points or more",
        "a",
        "c",
    ),
    _no(
        "a box only",
        file(of_b(segmentation=[], bbox=[1, 1, 5, 5])),
        "expected a mask, got a box only",
        "a",
        "c",
    ),
    _no(
        "another size than the image",
        file(lambda coco: coco["images"][1].update(width=192, height=128)),
        "expected 96x64 pixels, the size of the image, got 192x128",
        "a",
        "c",
    ),
    _no("a picture that the tool turned (EXIF)", turned_image, "the tool turned the picture", "a", "c"),
    _no(
        "an image that is not there",
        file(lambda coco: coco["images"][1].update(file_name="x.png")),
        "there is no image of this name",
        "a",
        "c",
    ),
    _no(
        "an image listed twice",
        file(lambda coco: coco["images"].append({**coco["images"][1], "id": 7})),
        "the label file lists it twice",
        "a",
        "c",
    ),
    _no("an annotation of no image", file(of_b(image_id=9)), "is of an image that is not listed"),
    _no("an annotation of no category", file(of_b(category_id=9)), "has a category 9 that is not listed"),
    _no("a file that ends early", no_json, "is not valid JSON"),
    _no(
        "another class than `--class-names` lists",
        file(),
        "the labels have a class 'dent', expected one of 1 rust, 2 crack",
        options={"class_names": ("rust", "crack")},
    ),
    _v(
        "a class that `--ignore` leaves out",
        file(),
        "ignored, images with the classes dent: 2",
        gives={"a": {"rust": SCENE["a"]["rust"]}, "b": {}, "c": {}},
        options={"ignore": ("dent",)},
    ),
]
