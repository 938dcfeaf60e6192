"""Decode image files into grey strips."""

import io

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from service.errors import InvalidImageError, PayloadTooLargeError, UnsupportedMediaTypeError, wrong_pixels
from service.geometry import HEIGHT, WIDTH, Strip
from service.images.bmp import check_bmp
from service.images.jpeg import decode_luma, read_frame, without_extras
from service.images.orientation import load_as_stored, stored_size
from service.images.png import check_chunks, check_png
from service.images.tiff import check_pieces, check_tiff

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


def format_of(data: bytes) -> str:
    """Return which of ``FORMATS`` a file is, by its first bytes.

    Raises:
        InvalidImageError: if the file is empty.
        UnsupportedMediaTypeError: if it is none of them.
    """
    if not data:
        raise InvalidImageError(f"expected an image of {WIDTH}x{HEIGHT} pixels, got an empty file (0 bytes)")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    raise UnsupportedMediaTypeError(
        f"expected an image of type {', '.join(FORMATS)}, got a file that begins with the bytes "
        f"{data[:8].hex(' ')}"
    )


def decode(data: bytes, *, max_pixels: int, bits: int | None = None) -> Strip:
    """Decode one image file into a grey strip, uint8 ``[256, 1600]``.

    Colour becomes grey by ITU-R 601 luma (a JPEG's own luma channel is used as it is), 16-bit grey is scaled
    to 8 bits. Pixels stay as the camera stored them: EXIF orientation is ignored. Of several JPEGs in one
    file the first is read, as viewers do.

    Args:
        data: the file.
        max_pixels: largest image, by its header.
        bits: of a pixel in a 16-bit file, 8 to 16; None expects all 16 in use.

    Raises:
        UnsupportedMediaTypeError: see ``format_of``.
        PayloadTooLargeError: if the header announces more than ``max_pixels``; nothing is decoded.
        InvalidImageError: if the image is broken, truncated, animated, of the wrong size or of a
            pixel type other than 8-bit grey or colour and 16-bit grey.
    """
    kind = format_of(data)
    try:
        strip = (
            _decode_jpeg(data, max_pixels) if kind == "JPEG" else _decode_other(data, kind, max_pixels, bits)
        )
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
    if strip.shape != (HEIGHT, WIDTH):
        raise InvalidImageError(f"the {kind} decodes to {strip.shape[1]}x{strip.shape[0]} pixels")
    return strip


def _check_size(kind: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PayloadTooLargeError(
            f"expected at most {max_pixels} pixels, got a {kind} of {width}x{height} = {width * height}"
        )
    if (width, height) == (WIDTH, HEIGHT):
        return
    wrong = f"expected an image of {WIDTH}x{HEIGHT} pixels, got a {kind} of {width}x{height}"
    if (width, height) == (HEIGHT, WIDTH):
        wrong += "; an EXIF orientation is not applied: turn the pixels themselves by 90 degrees"
        wrong += ", best in the camera"
    raise InvalidImageError(wrong)


def _decode_other(data: bytes, kind: str, max_pixels: int, bits: int | None = None) -> Strip:
    if kind == "PNG":
        check_chunks(data)
    if kind == "TIFF":
        check_pieces(data)
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:
        _check_size(kind, *stored_size(image), max_pixels)
        _check_content(image, kind, data)
        if kind == "BMP":
            check_bmp(image, data)
        if kind == "JPEG":
            image.draft("L", image.size)  # the luma channel alone
        strip = _to_grey(load_as_stored(image), bits)
    if kind == "PNG":
        check_png(data)
    return strip


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


def _decode_jpeg(data: bytes, max_pixels: int) -> Strip:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        _check_size("JPEG", width, height, max_pixels)
        return decode_luma(data, colours)
    except (KeyError, ValueError) as error:
        plain = without_extras(data)
        # libjpeg-turbo's interface knows the common chroma subsamplings only; Pillow uses another one.
        if isinstance(error, KeyError) or "subsampling" in str(error):
            if read_frame(plain).bits != 8:
                raise
            return _decode_other(plain, "JPEG", max_pixels)
        if plain == data:
            raise
        return _decode_jpeg(plain, max_pixels)


def _to_grey(image: Image.Image, bits: int | None) -> Strip:
    if image.mode in SIXTEEN_BIT:
        return _scale_to_bytes(np.asarray(image, dtype=np.uint32), bits)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _scale_to_bytes(values: npt.NDArray[np.uint32], bits: int | None) -> Strip:
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
    strip: Strip = ((values * 255 + top // 2) // top).astype(np.uint8)
    return strip
