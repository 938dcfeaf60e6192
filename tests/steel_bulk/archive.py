"""A small archive, and the rows that a run over it left."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.support.images import encoded, grey_image, png
from tests.support.tiny_model import block_strip

BAD = {
    "empty.png": b"",
    "no image.jpg": b"no image",
    "small.png": encoded(grey_image(800, 600), "PNG"),
    "line 2/cut.png": png(block_strip(c1=(5, 5, 50, 50)))[:-40],
}


def write_archive(folder: Path, strips: int) -> Path:
    """Draw strips whose bytes all differ, in three folders, each with a defect that tells them apart."""
    for number in range(strips):
        path = folder / ("", "line 1", "line 2/späte Schicht")[number % 3] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        block = {f"c{number % 4 + 1}": (10 * number, number, 5 + number, 20)}
        path.write_bytes(png(block_strip(**block)))
    (folder / "notes.txt").write_text("no image")
    return folder


def add_bad_files(folder: Path) -> None:
    """Add files that are refused."""
    for name, data in BAD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def names_of(folder: Path) -> list[str]:
    """Name what a run has to answer."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".png", ".jpg")
    )


def rows_of(out: Path) -> list[dict[str, Any]]:
    """Read the rows as anyone would."""
    rows: list[dict[str, Any]] = pq.read_table(out / "strips").to_pylist()
    return rows
