"""Image files from which the fuzzer of the decoders begins: every format, small on disk."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.images import encoded
from tests.support.tiny_model import TILE

HEIGHT, WIDTH = TILE

_PNG = b"\x89PNG\r\n\x1a\n"


def seeds() -> dict[str, bytes]:
    """Return files by name: formats, pixel types and compressions that Pillow writes."""
    grey = Image.fromarray(np.repeat(np.arange(HEIGHT, dtype=np.uint8), WIDTH).reshape(HEIGHT, WIDTH))
    wide = Image.fromarray(np.full((HEIGHT, WIDTH), 60_000, dtype=np.uint16))
    dark = Image.fromarray(np.full((HEIGHT, WIDTH), 4000, dtype=np.uint16))
    black = grey.convert("1", dither=Image.Dither.NONE)
    images = {"1": black} | {mode: grey.convert(mode) for mode in ("L", "LA", "P", "RGB", "RGBA")}
    files = {}
    for mode, image in images.items():
        files[f"{mode}.png"] = encoded(image, "PNG", optimize=True)
        files[f"{mode}.webp"] = encoded(image, "WEBP", lossless=True)
        for compression in ("tiff_lzw", "tiff_adobe_deflate"):
            files[f"{mode}-{compression}.tiff"] = encoded(image, "TIFF", compression=compression)
    files["fax.tiff"] = encoded(black, "TIFF", compression="group4")
    files["packbits.tiff"] = encoded(grey, "TIFF", compression="packbits")
    files["jpeg.tiff"] = encoded(grey, "TIFF", compression="jpeg")
    files["1.bmp"] = encoded(black, "BMP")
    for name, image in {"wide": wide, "dark": dark}.items():
        files[f"{name}.png"] = encoded(image, "PNG")
        files[f"{name}.tiff"] = encoded(image, "TIFF", compression="tiff_lzw")
    files["grey.jpg"] = encoded(grey, "JPEG", quality=30)
    files["lossy.webp"] = encoded(grey, "WEBP", quality=10)
    for subsampling in range(3):
        files[f"{subsampling}.jpg"] = encoded(
            grey.convert("RGB"), "JPEG", quality=20, subsampling=subsampling
        )
    files["progressive.jpg"] = encoded(grey.convert("RGB"), "JPEG", quality=20, progressive=True)
    files["odd.jpg"] = _with_luma_sampling(files["0.jpg"], 0x31)
    files["cmyk.jpg"] = encoded(grey.convert("CMYK"), "JPEG", quality=20)
    return files


def with_right_checksums(png: bytes) -> bytes:
    """Give every chunk of a PNG the checksum of its content; leave other files as they are."""
    if not png.startswith(_PNG):
        return png
    mended = bytearray(png)
    at = len(_PNG)
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4])
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)


def _with_luma_sampling(jpeg: bytes, factors: int) -> bytes:
    """Declare other sampling factors of the luma."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 11] + bytes([factors]) + jpeg[at + 12 :]
