"""Masks as pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.model_export.labels.variants.scene import (
    CLASSES,
    HEIGHT,
    SCENE,
    WIDTH,
    Variant,
    without,
    write_images,
)

NAMED = {"class_names": ("rust", "dent")}
COLOURS = {"rust": (200, 30, 0), "dent": (0, 120, 255)}


def index(stem: str) -> np.ndarray:
    """Return the values of a mask: 1 rust, 2 dent."""
    values = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for number, name in CLASSES.items():
        if name in SCENE[stem]:
            values[SCENE[stem][name]] = number
    return values


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


def indexed(change: Callable[[np.ndarray], np.ndarray] = lambda values: values) -> Callable[[Path], None]:
    """Return what writes images and masks of values."""

    def build(folder: Path) -> None:
        write_images(folder, "images/{}.png")
        for stem in SCENE:
            save(folder / "masks" / f"{stem}.png", change(index(stem)))

    return build


def palette(folder: Path) -> None:
    write_images(folder, "JPEGImages/{}.jpg")
    for stem in SCENE:
        image = Image.fromarray(index(stem))
        image.putpalette([0, 0, 0, 200, 30, 0, 0, 120, 255])
        path = folder / "SegmentationClass" / f"{stem}.png"
        path.parent.mkdir(exist_ok=True)
        image.save(path)


def sets(folder: Path) -> None:
    for stem, place in zip("abc", ("train", "val", "test"), strict=True):
        write_images(folder, f"images/{place}/{{}}.png", stem)
        save(folder / "annotations" / place / f"{stem}.png", index(stem))


def beside(folder: Path) -> None:
    write_images(folder, "{}.png")
    for stem in SCENE:
        save(folder / f"{stem}_mask.png", index(stem))


def folder_per_class(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    for stem, found in SCENE.items():
        for name in COLOURS:
            mask = found.get(name, np.zeros((HEIGHT, WIDTH), dtype=np.bool_))
            save(folder / "masks" / name / f"{stem}.png", mask.astype(np.uint8) * 255)


def file_per_class(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    for stem, found in SCENE.items():
        for number, name in CLASSES.items():
            mask = found.get(name, np.zeros((HEIGHT, WIDTH), dtype=np.bool_))
            save(folder / "masks" / f"{stem}_{number}.png", mask)


def binary(folder: Path) -> None:
    indexed(lambda values: (values > 0).astype(np.uint8) * 255)(folder)


def coloured(folder: Path) -> None:
    write_images(folder, "images/{}.png")
    for stem, found in SCENE.items():
        pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        for name, mask in found.items():
            pixels[mask] = COLOURS[name]
        save(folder / "masks" / f"{stem}.png", pixels)


def coloured_by(name: str, content: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        coloured(folder)
        (folder / name).write_text(content)

    return build


def unknown_colour(folder: Path) -> None:
    coloured_by("colours.json", json.dumps(COLOURS))(folder)
    path = folder / "masks" / "b.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0] = (1, 2, 3)
    save(path, pixels)


def other_size(folder: Path) -> None:
    indexed()(folder)
    save(folder / "masks" / "b.png", index("b")[:32])


def transposed(folder: Path) -> None:
    indexed()(folder)
    save(folder / "masks" / "b.png", np.ascontiguousarray(index("b").T))


def as_jpeg(folder: Path) -> None:
    indexed()(folder)
    (folder / "masks" / "b.png").unlink()
    save(folder / "masks" / "b.jpg", index("b"))


def lone_mask(folder: Path) -> None:
    indexed()(folder)
    (folder / "masks" / "b.png").rename(folder / "masks" / "bb.png")


def one_missing(folder: Path) -> None:
    indexed()(folder)
    (folder / "masks" / "c.png").unlink()


ANY = {stem: {"defect": np.logical_or.reduce([*found.values()])} for stem, found in SCENE.items() if found}


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    more.setdefault("options", NAMED)
    return Variant("masks", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str, *left: str) -> Variant:
    return Variant("masks", title, build, None, says, NAMED, left or None)


VARIANTS = [
    _v("values are classes: `images/`, `masks/`", indexed(), "masks whose values are classes"),
    _v("a palette, in the folders of PASCAL VOC", palette),
    _v("`images/train/`, `annotations/train/` and so on", sets, "sets         test 1, train 1, validation 1"),
    _v("`a_mask.png` beside `a.png`", beside),
    _v("values in 16 bits", indexed(lambda values: values.astype(np.uint16))),
    _v("values in three equal channels", indexed(lambda values: np.stack([values] * 3, axis=-1))),
    _v(
        "a border of the value 255",
        indexed(lambda values: np.where(np.arange(WIDTH) == 0, 255, values).astype(np.uint8)),
        "value 255 on 3 masks is the border of no class",
    ),
    _v(
        "0 and 255",
        binary,
        "masks of 0 and 255: one class",
        gives={**ANY, "c": {}},
        options={"class_names": ("defect",)},
    ),
    _v("a folder per class", folder_per_class, "a mask per class and image (dent, rust)"),
    _v("a file per class: `a_1.png`", file_per_class, "a mask per class and image (1, 2)"),
    _v("colours, by `colours.json`", coloured_by("colours.json", json.dumps(COLOURS)), options={}),
    _v(
        "colours, by CVAT's `labelmap.txt`",
        coloured_by(
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nrust:200,30,0::\ndent:0,120,255::\n",
        ),
        options={},
    ),
    _v(
        "colours, by `class_dict.csv`",
        coloured_by("class_dict.csv", "name,r,g,b\nrust,200,30,0\ndent,0,120,255\n"),
        options={},
    ),
    _v("an image without a mask", one_missing, "1 image without a label, left out", gives=without("c")),
    _no("colours without a map", coloured, "got a picture of colours", "c"),
    _no(
        "a colour that is not in the map",
        unknown_colour,
        "expected the colours of the map, got (1, 2, 3)",
        "a",
        "c",
    ),
    _no(
        "a mask of another size",
        other_size,
        "expected 96x64 pixels, the size of the image, got 96x32",
        "a",
        "c",
    ),
    _no("a transposed mask", transposed, "got 64x96: transposed", "a", "c"),
    _no("a mask as JPEG", as_jpeg, "expected a mask stored without loss, got a JPEG", "a", "c"),
    _no("a mask without an image", lone_mask, "there is no image of this name", "a", "c"),
    _no(
        "photographs, or masks that were resized smoothly",
        indexed(lambda values: np.arange(WIDTH, dtype=np.uint8) * np.ones((HEIGHT, 1), dtype=np.uint8)),
        "expected at most 32 classes, got 95",
    ),
]
