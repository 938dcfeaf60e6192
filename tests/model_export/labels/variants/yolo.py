"""YOLO's polygons."""

from collections.abc import Callable
from pathlib import Path

from tests.model_export.labels.variants.scene import (
    BOXES,
    CLASSES,
    HEIGHT,
    WIDTH,
    Variant,
    corners,
    write_images,
)

INDEX = {name: number - 1 for number, name in CLASSES.items()}
YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [rust, dent]\n"


def line(stem: str, name: str) -> str:
    values = corners(BOXES[stem][name])
    fractions = [value / (HEIGHT if number % 2 else WIDTH) for number, value in enumerate(values)]
    return " ".join([str(INDEX[name]), *(f"{value:.6f}" for value in fractions)])


def write(folder: Path, names: str | None = YAML, *, empty: bool = True) -> None:
    for stem, place in zip("abc", ("train", "train", "val"), strict=True):
        write_images(folder, f"images/{place}/{{}}.png", stem)
        path = folder / "labels" / place / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [line(stem, name) for name in BOXES[stem]]
        if lines or empty:
            path.write_text("\n".join(lines))
    if names is not None:
        (folder / "data.yaml").write_text(names)


def classes_txt(folder: Path) -> None:
    write(folder, None)
    (folder / "classes.txt").write_text("rust\ndent\n")


def more(text: str) -> Callable[[Path], None]:
    """Return what adds a line to the labels of b.png."""

    def build(folder: Path) -> None:
        write(folder)
        path = folder / "labels" / "train" / "b.txt"
        path.write_text(path.read_text() + f"\n{text}\n")

    return build


def lone(folder: Path) -> None:
    write(folder)
    (folder / "labels" / "val" / "c.txt").unlink()
    path = folder / "labels" / "train" / "b.txt"
    path.rename(path.with_name("bb.txt"))


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    return Variant("YOLO", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str, *left: str) -> Variant:
    return Variant("YOLO", title, build, None, says, left=left or None)


VARIANTS = [
    _v("polygons, `data.yaml` with a list of names", write, "sets         train 2, validation 1"),
    _v("names as numbers and names", lambda f: write(f, YAML.replace("[rust, dent]", "{0: rust, 1: dent}"))),
    _v("`classes.txt` instead of a yaml", classes_txt),
    _v("no names", lambda f: write(f, None), "without names", options={"class_names": ("rust", "dent")}),
    _v("no text file for a clean image", lambda f: write(f, empty=False)),
    _no("a box", more("1 0.5 0.5 0.1 0.1"), "line 2: expected a polygon, got a box", "a", "c"),
    _no(
        "a class beyond the names",
        more("2 0.1 0.1 0.2 0.1 0.2 0.2"),
        "expected a class of 0 to 1, got 2",
        "a",
        "c",
    ),
    _no(
        "coordinates in pixels",
        more("1 10 10 20 10 20 20"),
        "expected coordinates from 0 to 1, got 20",
        "a",
        "c",
    ),
    _no("a line of words", more("dent here"), "expected numbers, got 'dent here'", "a", "c"),
    _no("a text file without an image", lone, "there is no image of this name", "a"),
]
