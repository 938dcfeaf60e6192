"""Decode image files into grey pixels."""

import contextlib
import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from service.errors import InvalidImageError, PayloadTooLargeError, UnsupportedMediaTypeError, wrong_pixels
from service.geometry import Strip
from service.images.bmp import check_bmp
from service.images.jpeg import decode_luma, read_frame, read_jpeg_size, without_extras
from service.images.orientation import load_as_stored, stored_size
from service.images.png import check_chunks, check_png, read_png_size
from service.images.tiff import check_pieces, check_tiff, read_tiff_size

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of 16-bit grey."""
_PNG_DEPTH = 24
"""Offset of the bits of a channel; PNG specification, sections 5.2 and 11.2.1."""
_LEAST_OF_16_BITS = 4096
"""If all values of a 16-bit image are below, its camera has 12 bits or fewer, or it is nearly black."""
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa")


_ROWS = 256
"""Rows of a 16-bit image that are scaled at a time, so that a large one takes no large numbers."""


class Size(NamedTuple):
    """Size of an image in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        """Return it as error messages write it."""
        return f"{self.width}x{self.height}"


def format_of(data: bytes) -> str:
    """Return which of ``FORMATS`` a file is, by its first bytes.

    Raises:
        InvalidImageError: if the file is empty.
        UnsupportedMediaTypeError: if it is none of them.
    """
    if not data:
        raise InvalidImageError("expected an image, got an empty file (0 bytes)")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    raise UnsupportedMediaTypeError(
        f"expected an image of type {', '.join(FORMATS)}, got a file that begins with the bytes "
        f"{data[:8].hex(' ')}"
    )


def read_size(data: bytes) -> Size | None:
    """Return the size that an image file's header announces; None if ``decode`` has to find out.

    The file need not be an image. Takes microseconds, however large the file is, and decodes nothing.
    """
    with contextlib.suppress(Exception):  # decode says what is wrong with it
        kind = format_of(data)
        if kind == "JPEG":
            return Size(*read_jpeg_size(data))
        if kind == "PNG":
            return Size(*read_png_size(data))
        if kind == "TIFF":
            return Size(*read_tiff_size(data))
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            return Size(*image.size)
    return None


def decode(data: bytes, *, max_pixels: int, bits: int | None = None, least: Size | None = None) -> Strip:
    """Decode one image file into grey pixels, uint8 ``[height, width]``.

    Colour becomes grey by ITU-R 601 luma (a JPEG's own luma channel is used as it is), 16-bit grey is scaled
    to 8 bits. Pixels stay as the camera stored them: EXIF orientation is ignored. Of several JPEGs in one
    file the first is read, as viewers do.

    Args:
        data: the file.
        max_pixels: largest image, by its header.
        bits: of a pixel in a 16-bit file, 8 to 16; None expects all 16 in use.
        least: smallest image, by its header; None takes any.

    Raises:
        UnsupportedMediaTypeError: see ``format_of``.
        PayloadTooLargeError: if the header announces more than ``max_pixels``; nothing is decoded.
        InvalidImageError: if the image is broken, truncated, animated, too small or of a pixel type other
            than 8-bit grey or colour and 16-bit grey.
    """
    kind = format_of(data)
    limits = _Limits(kind, max_pixels, least)
    try:
        return _decode_jpeg(data, limits) if kind == "JPEG" else _decode_other(data, limits, bits)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PayloadTooLargeError(
            f"expected at most {max_pixels} pixels, got a {kind} header that announces more"
        ) from error
    except (PayloadTooLargeError, InvalidImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # its message names a Python object
        raise InvalidImageError(f"the {kind} cannot be decoded: its header cannot be read") from error
    except Exception as error:
        # For broken input, decoders raise any error of their parsing: OSError,
        # SyntaxError, ValueError, struct.error, EOFError, IndexError, OverflowError...
        raise InvalidImageError(f"the {kind} cannot be decoded: {error}") from error


class _Limits(NamedTuple):
    """What an image may be."""

    kind: str
    max_pixels: int
    least: Size | None

    def check(self, size: Size) -> None:
        """Check the size that a header announces.

        Raises:
            PayloadTooLargeError: if it is too large.
            InvalidImageError: if it is too small.
        """
        width, height = size
        if width * height > self.max_pixels:
            raise PayloadTooLargeError(
                f"expected at most {self.max_pixels} pixels, got a {self.kind} of {size} = {width * height}"
            )
        if self.least is None or (width >= self.least.width and height >= self.least.height):
            return
        wrong = f"expected an image of at least {self.least} pixels, got a {self.kind} of {size}"
        if height >= self.least.width and width >= self.least.height:
            wrong += "; an EXIF orientation is not applied: turn the pixels themselves by 90 degrees"
            wrong += ", best in the camera"
        else:
            wrong += "; pad=true, a parameter of the request, mirrors a smaller one at its border"
        raise InvalidImageError(wrong)

    def check_decoded(self, strip: Strip, size: Size) -> Strip:
        """Return decoded pixels, which must be as many as their header announced.

        Raises:
            InvalidImageError: if they are not.
        """
        height, width = strip.shape
        if (width, height) != size:
            raise InvalidImageError(f"the {self.kind} decodes to {width}x{height} pixels instead of {size}")
        return strip


def _decode_other(data: bytes, limits: _Limits, bits: int | None = None) -> Strip:
    kind = limits.kind
    if kind == "PNG":
        check_chunks(data)
    if kind == "TIFF":
        check_pieces(data)
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:
        size = Size(*stored_size(image))
        limits.check(size)
        _check_content(image, kind, data)
        if kind == "BMP":
            check_bmp(image, data)
        if kind == "JPEG":
            image.draft("L", image.size)  # the luma channel alone
        strip = _to_grey(load_as_stored(image), bits)
    if kind == "PNG":
        check_png(data)
    return limits.check_decoded(strip, size)


def _check_content(image: Image.Image, kind: str, data: bytes) -> None:
    if _has_more_frames(image, kind):
        raise InvalidImageError(f"expected exactly 1 frame, got a {kind} with several")
    if image.mode not in _EIGHT_BIT + SIXTEEN_BIT:
        raise wrong_pixels(kind, image.mode)
    if kind == "PNG" and data[_PNG_DEPTH] == 16 and image.mode not in SIXTEEN_BIT:
        raise wrong_pixels("PNG", f"16-bit {image.mode}")  # its low bytes would be cut off
    if kind == "TIFF":
        check_tiff(image)


def _has_more_frames(image: Image.Image, kind: str) -> bool:
    if kind != "TIFF":
        return bool(getattr(image, "n_frames", 1) != 1)
    # The frames of a TIFF are a linked list; one step is enough, and no file can make it last.
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _decode_jpeg(data: bytes, limits: _Limits) -> Strip:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        limits.check(Size(width, height))
        return limits.check_decoded(decode_luma(data, colours), Size(width, height))
    except (KeyError, ValueError) as error:
        plain = without_extras(data)
        # libjpeg-turbo's interface knows the common chroma subsamplings only; Pillow uses another one.
        if isinstance(error, KeyError) or "subsampling" in str(error):
            if read_frame(plain).bits != 8:
                raise
            return _decode_other(plain, limits)
        if plain == data:
            raise
        return _decode_jpeg(plain, limits)


def _to_grey(image: Image.Image, bits: int | None) -> Strip:
    if image.mode in SIXTEEN_BIT:
        return _scale_to_bytes(np.asarray(image), bits)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _scale_to_bytes(values: npt.NDArray[np.uint16], bits: int | None) -> Strip:
    """Scale 16-bit values so that the largest of their bits becomes 255."""
    largest = int(values.max())
    if bits is None and largest < _LEAST_OF_16_BITS:
        raise InvalidImageError(
            f"expected an image that uses all 16 bits of its pixels, got values up to {largest}; the "
            "parameter bits (8, 10, 12, 14 or 16), --bits of a command, or STEEL_BITS says how many the "
            "camera uses"
        )
    top = 2 ** (bits or 16) - 1
    if largest > top:
        raise InvalidImageError(f"expected values of {bits} bits, at most {top}, got {largest}")
    strip = np.empty(values.shape, dtype=np.uint8)
    for row in range(0, len(values), _ROWS):
        some = values[row : row + _ROWS].astype(np.uint32)
        strip[row : row + _ROWS] = (some * 255 + top // 2) // top
    return strip
