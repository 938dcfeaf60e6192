"""Image files for tests, and strips decoded from them."""

import io

import numpy as np
from PIL import Image

from service.geometry import Strip
from service.images.decode import Size, decode

MAX_PIXELS = 16_000_000
STRIP = Size(1600, 256)


def png(strip: Strip) -> bytes:
    """Encode a strip as a grey PNG."""
    return encoded(Image.fromarray(strip), "PNG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image in a format of Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return EXIF data that hold an orientation."""
    data = Image.Exif()
    data[0x112] = orientation
    return data


def grey_image(width: int = 1600, height: int = 256, value: int = 90) -> Image.Image:
    """Return a grey image of one value."""
    return Image.fromarray(np.full((height, width), value, dtype=np.uint8))


def read(data: bytes, bits: int | None = None, least: Size | None = STRIP) -> Strip:
    """Decode an image file, of at least a strip's size by default."""
    return decode(data, max_pixels=MAX_PIXELS, bits=bits, least=least)
