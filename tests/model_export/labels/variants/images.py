"""Images that cannot be used, or not as they are."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.model_export.labels.variants.kaggle import LINES, text
from tests.model_export.labels.variants.scene import Variant
from tests.support.images import exif


def changed(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what writes the scene and then changes the file of the clean image."""

    def build(folder: Path) -> None:
        text(LINES)(folder)
        change(folder / "train_images" / "c.png")

    return build


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def cut_jpeg(path: Path) -> None:
    Image.open(path).save(path.with_suffix(".jpg"), quality=95)
    path.unlink()
    cut(path.with_suffix(".jpg"))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_header(path: Path) -> None:
    """A PNG of 60,000 x 60,000 pixels in some bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def long_text(path: Path) -> None:
    """A PNG whose compressed text is longer than Pillow allows."""
    data = path.read_bytes()
    comment = chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(b"x" * 3_000_000))
    path.write_bytes(data[:33] + comment + data[33:])


def twelve_bits(path: Path) -> None:
    pixels = np.random.default_rng(3).integers(800, 3000, (64, 96), dtype=np.uint16)
    Image.fromarray(pixels).save(path)


def turned(path: Path) -> None:
    Image.open(path).save(path, exif=exif(6))


def _no(title: str, change: Callable[[Path], object], says: str) -> Variant:
    return Variant("images", title, changed(change), None, says, left=("a", "b"))


VARIANTS = [
    _no("a truncated PNG", cut, "the PNG"),
    _no("a truncated JPEG", cut_jpeg, "the JPEG"),
    _no("a header of 60000x60000 pixels", huge_header, "expected at most 67108864 pixels"),
    _no("an overlong chunk of text", long_text, "the PNG cannot be decoded"),
    _no("an empty file", lambda path: path.write_bytes(b""), "expected an image, got an empty file"),
    _no("a text called `.png`", lambda path: path.write_text("x" * 99), "expected an image of type"),
    _no("12 bits in a file of 16", twelve_bits, "got values up to"),
    Variant("images", "the same, `--bits 12`", changed(twelve_bits), options={"bits": "12"}),
    Variant("images", "EXIF orientation, labels by pixels", changed(turned)),
]
