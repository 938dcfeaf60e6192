"""Kaggle's table as people write it."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.model_export.labels.variants.scene import (
    CLASSES,
    HEIGHT,
    SCENE,
    WIDTH,
    Scene,
    Variant,
    box_mask,
    code,
    picture,
    write_classes,
    write_images,
)

HEADER = "ImageId,ClassId,EncodedPixels"
IDS = {name: number for number, name in CLASSES.items()}
ROWS = [
    (f"{stem}.png", IDS[name], code(mask)) for stem, found in SCENE.items() for name, mask in found.items()
]
LINES = [HEADER, *(f"{name},{number},{text}" for name, number, text in ROWS)]


def lines(*more: str, header: str = HEADER, name: str = "{}", kind: str = "{}") -> list[str]:
    """Return the table, with names and classes written another way, and more rows."""
    rows = [f"{name.format(image)},{kind.format(number)},{text}" for image, number, text in ROWS]
    return [header, *rows, *more]


def text(content: list[str] | bytes, pattern: str = "train_images/{}.png") -> Callable[[Path], None]:
    """Return what writes the images and a table."""

    def build(folder: Path) -> None:
        write_images(folder, pattern)
        write_classes(folder)
        data = content if isinstance(content, bytes) else "\n".join(content).encode() + b"\n"
        (folder / "train.csv").write_bytes(data)

    return build


PLAIN = "\n".join(LINES) + "\n"


def instances(folder: Path, overlap: int = 0) -> None:
    """Write each mask as two rows: its upper and its lower half."""
    text([])(folder)
    rows = [HEADER]
    for stem, found in SCENE.items():
        for name, mask in found.items():
            middle = int(np.flatnonzero(mask.any(axis=1)).mean())
            for half in (slice(0, middle + overlap), slice(middle, HEIGHT)):
                part = np.zeros_like(mask)
                part[half] = mask[half]
                rows.append(f"{stem}.png,{IDS[name]},{code(part)}")
    (folder / "train.csv").write_text("\n".join(rows))


def old_form(folder: Path) -> None:
    text([])(folder)
    rows = {(name, number): code_ for name, number, code_ in ROWS}
    wanted = [(f"{stem}.png", number) for stem in SCENE for number in CLASSES]
    body = [f"{name}_{number},{rows.get((name, number), '')}" for name, number in wanted]
    (folder / "train.csv").write_text("\n".join(["ImageId_ClassId,EncodedPixels", *body]))


def row_major(folder: Path) -> None:
    text([])(folder)
    from service.masks import rle

    rows = [
        f"{stem}.png,{IDS[name]},{rle.encode(mask)}"
        for stem, found in SCENE.items()
        for name, mask in found.items()
    ]
    (folder / "train.csv").write_text("\n".join([HEADER, *rows]))


CHECKED = np.indices((700, 256)).sum(axis=0) % 2 == 0
"""bool ``[700, 256]``: its code has 700 x 256 / 2 runs."""


def long_code(folder: Path) -> None:
    (folder / "train_images").mkdir(parents=True)
    write_classes(folder)
    picture(5, 700, 256).save(folder / "train_images" / "d.png")
    (folder / "train.csv").write_text(f"{HEADER}\nd.png,1,{code(CHECKED)}\n")


def decomposed(folder: Path) -> None:
    """Write the name of an image composed, and in the table decomposed, as macOS does."""
    text(lines(name="{}"))(folder)
    (folder / "train_images" / "a.png").rename(
        folder / "train_images" / "\N{LATIN SMALL LETTER A WITH DIAERESIS}.png"
    )
    table = PLAIN.replace("a.png", unicodedata.normalize("NFD", "ä.png"))
    (folder / "train.csv").write_text(table)


def windows_letters(folder: Path) -> None:
    text(PLAIN.replace("a.png", "ä.png").encode("cp1252"))(folder)
    (folder / "train_images" / "a.png").rename(folder / "train_images" / "ä.png")


UMLAUT: Scene = {"ä": SCENE["a"], "b": SCENE["b"], "c": {}}


def mac_files(folder: Path) -> None:
    text(lines("._a.png,1,1 5"))(folder)
    (folder / "train_images" / "._a.png").write_bytes(b"Mac OS X")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "c.png").write_bytes(b"Mac OS X")


def twins(folder: Path) -> None:
    text(lines(name="line/{}"))(folder)
    write_images(folder, "train_images/1/{}.png")
    write_images(folder, "train_images/2/{}.png")
    for stem in "abc":
        (folder / "train_images" / f"{stem}.png").unlink()


def folders(folder: Path) -> None:
    """Write the images into folders of their coils."""
    text(lines(name="coil 7/{}"))(folder)
    for stem in "abc":
        (folder / "train_images" / "coil 7").mkdir(exist_ok=True)
        (folder / "train_images" / f"{stem}.png").rename(folder / "train_images" / "coil 7" / f"{stem}.png")


def folders_without_path(folder: Path) -> None:
    folders(folder)
    (folder / "train.csv").write_text(PLAIN)


def renamed(folder: Path) -> None:
    """Misspell the name of an image in the table."""
    text(PLAIN.replace("b.png", "bb.png").encode())(folder)


def other_names(folder: Path) -> None:
    """Write 30 defective images under names that the table does not have."""
    (folder / "train_images").mkdir(parents=True)
    write_classes(folder)
    for number in range(30):
        picture(number).save(folder / "train_images" / f"{number:04d}.png")
    rows = [f"strip-{number}.png,1,{code(box_mask((10, 8, 40, 20)))}" for number in range(30)]
    (folder / "train.csv").write_text("\n".join([HEADER, *rows]))


def other_suffix(folder: Path) -> None:
    text(lines())(folder)
    for stem in "abc":
        path = folder / "train_images" / f"{stem}.png"
        Image.open(path).save(path.with_suffix(".tif"))
        path.unlink()


def test_images(folder: Path) -> None:
    text(lines())(folder)
    write_images(folder, "test_images/{}.png", "xyz")


def from_zero(folder: Path) -> None:
    text(lines())(folder)
    (folder / "classes.json").unlink()
    rows = [f"{name},{number - 1},{text_}" for name, number, text_ in ROWS]
    (folder / "train.csv").write_text("\n".join([HEADER, *rows]))


def one_class(folder: Path) -> None:
    text([])(folder)
    (folder / "classes.json").unlink()
    (folder / "train.csv").write_text("\n".join(["ImageId,EncodedPixels", *(f"{n},{t}" for n, _, t in ROWS)]))


ANY = {stem: np.logical_or.reduce([*found.values()]) for stem, found in SCENE.items() if found}


def _v(title: str, build: Callable[[Path], object], says: str = "", **more: object) -> Variant:
    return Variant("Kaggle", title, build, says=says, **more)  # type: ignore[arg-type]


def _no(title: str, build: Callable[[Path], object], says: str, *left: str, **more: object) -> Variant:
    return Variant("Kaggle", title, build, None, says, left=left or None, **more)  # type: ignore[arg-type]


VARIANTS = [
    _v("`ImageId,ClassId,EncodedPixels`", text(lines())),
    _v("older form: `ImageId_ClassId`, a row per image and class", old_form, "Kaggle's older form"),
    _v("byte-order mark", text(PLAIN.encode("utf-8-sig")), "a byte-order mark (UTF-8)"),
    _v(
        "UTF-16, as Excel saves *Unicode text*",
        text(PLAIN.replace(",", "\t").encode("utf-16")),
        "tabs between",
    ),
    _v("line ends of Windows", text(PLAIN.replace("\n", "\r\n").encode()), "line ends of Windows"),
    _v("line ends of old Macs", text(PLAIN.replace("\n", "\r").encode()), "line ends of old Macs"),
    _v("semicolons", text(PLAIN.replace(",", ";").encode()), "semicolons between fields"),
    _v("tabs", text(PLAIN.replace(",", "\t").encode()), "tabs between fields"),
    _v("bars", text(PLAIN.replace(",", "|").encode()), "bars between fields"),
    _v("spaces after the commas", text(PLAIN.replace(",", ", ").encode())),
    _v("spaces around every field", text(PLAIN.replace(",", " , ").encode())),
    _v("every field in quotes", text([",".join(f'"{f}"' for f in line.split(",")) for line in LINES])),
    _v("lower-case headers", text(lines(header=HEADER.lower())), "the columns are called imageid"),
    _v("headers `image_id,class_id,encoded_pixels`", text(lines(header="image_id,class_id,encoded_pixels"))),
    _v(
        "headers `filename,label,rle`",
        text(lines(header="filename,label,rle")),
        "are called filename, label, rle",
    ),
    _v(
        "a column of numbers in front, as pandas writes",
        text([f",{HEADER}", *(f"{number},{line}" for number, line in enumerate(LINES[1:]))]),
    ),
    _v(
        "more columns behind",
        text([f"{HEADER},inspector,date", *(f"{line},Li,2026-11-02" for line in LINES[1:])]),
        "other columns are ignored: inspector, date",
    ),
    _v("commas at the ends of lines", text([f"{line},," for line in LINES])),
    _v("blank lines", text(["\n".join(LINES[:2]), "", *LINES[2:], "", ""])),
    _v(
        "`nan` where there is no mask",
        text(lines("c.png,1,nan", "c.png,2,NaN")),
        "masks written as nan, so none: 1",
    ),
    _v("`-1` where there is no mask", text(lines("c.png,1,-1")), "masks written as -1, so none: 1"),
    _v("a clean image with an empty class", text(lines("c.png,,"))),
    _v("a clean image with the class `-1`", text(lines("c.png,-1,"))),
    _v("classes as `1.0`", text(lines(kind="{}.0")), "classes written as decimal numbers: 3"),
    _v(
        "classes as `1,0` between semicolons",
        text([line.replace(",", ";").replace(";1;", ";1,0;") for line in LINES]),
    ),
    _v("classes by name", text([HEADER, *(f"{n},{CLASSES[k]},{t}" for n, k, t in ROWS)])),
    _v(
        "classes from 0", from_zero, "counted from 0 in the labels", options={"class_names": ("rust", "dent")}
    ),
    _v(
        "no column of classes",
        one_class,
        "every mask is of class 1",
        gives={"a": {"defect": ANY["a"]}, "b": {"defect": ANY["b"]}, "c": {}},
        options={"class_names": ("defect",)},
    ),
    _v("rows twice", text([*LINES, *LINES[1:]]), "rows that repeat another: 3"),
    _v(
        "a row per instance",
        instances,
        "images with several rows of a class, e.g. one per instance, joined: 2",
    ),
    _v("a row per instance, overlapping", lambda folder: instances(folder, 3)),
    _v("images in folders, rows with the path", folders),
    _v("images in folders, rows without it", folders_without_path),
    _v("rows with a path of another machine", text(lines(name="/home/li/mill/{}"))),
    _v("rows with a path of Windows", text(lines(name="D:\\mill\\{}"))),
    _v(
        "rows without the suffix",
        text([line.replace(".png", "") for line in LINES]),
        "name the label file writes",
    ),
    _v(
        "rows with `.png`, images `.tif`",
        other_suffix,
        "2 images whose name the label file writes",
    ),
    _v("rows in upper case", text([HEADER, *(line.upper() for line in LINES[1:])]), "written A.PNG"),
    _v("letters decomposed, as macOS writes them", decomposed, gives=UMLAUT),
    _v("letters of Windows (cp1252)", windows_letters, gives=UMLAUT),
    _v("files `._a.png` of macOS, and rows of them", mac_files, "rows of macOS's ._ files, ignored: 1"),
    _v(
        "a code longer than 131,072 characters",
        long_code,
        gives={"d": {"rust": CHECKED}},
    ),
    _v("`test_images/` beside", test_images, "3 images without a label, left out"),
    _v("pixels numbered along rows, `--order rows`", row_major, options={"order": "rows"}),
    _no("pixels numbered along rows", row_major, "look as if their pixels were numbered along rows"),
    _no(
        "the first pixel is 0",
        text(lines("c.png,1,0 9")),
        "Kaggle counts pixels from 1",
        "a",
        "b",
    ),
    _no(
        "a run behind the last pixel",
        text(lines(f"c.png,1,{HEIGHT * WIDTH} 2")),
        "expected runs of a 96x64",
        "a",
        "b",
    ),
    _no(
        "a start without a length",
        text(lines("c.png,1,5 2 9")),
        "expected pairs of start and length",
        "a",
        "b",
    ),
    _no("runs out of order", text(lines("c.png,1,9 3 1 2")), "expected runs that are sorted", "a", "b"),
    _no("a code that is no number", text(lines("c.png,1,five")), "whole numbers only", "a", "b"),
    _no("a class that is not in `classes.json`", text(lines("c.png,7,1 2")), "the labels have a class 7"),
    _no(
        "a class as `1.5`", text(lines("c.png,1.5,1 2")), "line 5: expected a class, a whole number or a name"
    ),
    _no(
        "a mask without a class", text(lines("c.png,,1 2")), "line 5: expected a class for the mask of c.png"
    ),
    _no("a row without a name", text(lines(",1,1 2")), "line 5: expected the name of an image"),
    _no("commas within a code", text(lines("c.png,1,1,2,9,4")), "line 5: expected 3 fields, got 6"),
    _no("a quote that does not end", text(lines('c.png,1,"1 2')), "not a valid table"),
    _no(
        "a zero byte",
        text(PLAIN.encode() + b"c.png,1,1\x002\n"),
        "whole numbers only",
        "a",
        "b",
    ),
    _no("no headers", text(LINES[1:]), "expected the columns ImageId, ClassId, EncodedPixels"),
    _no("an empty file", text(b""), "got an empty file"),
    _no(
        "a row whose image is missing", text(lines("d.png,1,1 2")), "there is no image of this name", "a", "b"
    ),
    _v(
        "the same, `--trust-clean --skip-bad`",
        text(lines("d.png,1,1 2")),
        options={"trust_clean": True, "skip_bad": True},
    ),
    _no("a misspelt name", renamed, "there is no image of this name", "a"),
    _no("30 of 30 names are other ones", other_names, "holds no image that can be used"),
    _no("a name that fits two images", twins, "expected one image of this name, got 2"),
]
