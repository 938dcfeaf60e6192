"""From the bytes of an image file to a grey strip, or a clear refusal."""

import io

import numpy as np
import simplejpeg
from PIL import Image

from service.errors import InvalidImageError, PayloadTooLargeError, UnsupportedMediaTypeError
from service.geometry import HEIGHT, WIDTH, Strip
from service.images.jpeg import bits_per_sample, count_scans
from service.images.png import is_complete

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x112, 258, 262  # TIFF 6.0, section 8
_MAX_SCANS = 64
"""A progressive JPEG has about 10; each costs a pass over the whole image, however short it is."""
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
_JPEG_COLOURS = ("Gray", "YCbCr", "RGB")
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa")


def format_of(data: bytes) -> str:
    """Return which of ``FORMATS`` a file is, by its first bytes.

    Raises:
        InvalidImageError: if the file is empty.
        UnsupportedMediaTypeError: if it is none of them.
    """
    if not data:
        raise InvalidImageError("the file is empty (0 bytes); send an image of 1600x256 pixels")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    raise UnsupportedMediaTypeError(
        f"the file is not an image of a type read here ({', '.join(FORMATS)}); "
        f"it begins with the bytes {data[:8].hex(' ')}"
    )


def decode(data: bytes, *, max_pixels: int) -> Strip:
    """Decode one image file into a grey strip, uint8 ``[256, 1600]``.

    Colour becomes grey by ITU-R 601 luma (a JPEG's own luma channel is taken as it is), 16-bit grey
    is divided by 257. Pixels are taken as the camera stored them: EXIF rotation is ignored, and a TIFF
    that asks for it is refused. Of JPEGs one behind the other the first is read, as viewers do.

    Raises:
        UnsupportedMediaTypeError: see ``format_of``.
        PayloadTooLargeError: if the header announces more than ``max_pixels``; nothing is decoded.
        InvalidImageError: if the image is broken, truncated, animated, of the wrong size or of a
            pixel type other than 8-bit grey or colour and 16-bit grey.
    """
    kind = format_of(data)
    try:
        strip = _decode_jpeg(data, max_pixels) if kind == "JPEG" else _decode_other(data, kind, max_pixels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PayloadTooLargeError(
            f"the {kind} header announces too many pixels; at most {max_pixels} are taken"
        ) from error
    except (PayloadTooLargeError, InvalidImageError, MemoryError):
        raise
    except Exception as error:
        # Decoders answer broken input with whatever their parsing stumbles over: OSError,
        # SyntaxError, ValueError, struct.error, EOFError, IndexError, OverflowError...
        raise InvalidImageError(f"the {kind} cannot be decoded: {error}") from error
    if strip.shape != (HEIGHT, WIDTH):
        raise InvalidImageError(f"the {kind} decodes to {strip.shape[1]}x{strip.shape[0]} pixels")
    return strip


def _check_size(kind: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PayloadTooLargeError(
            f"the {kind} is {width}x{height} = {width * height} pixels; at most {max_pixels} are taken"
        )
    if (width, height) != (WIDTH, HEIGHT):
        raise InvalidImageError(
            f"the {kind} is {width} wide and {height} high; {WIDTH} wide and {HEIGHT} high is wanted"
        )


def _decode_other(data: bytes, kind: str, max_pixels: int) -> Strip:
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:
        _check_size(kind, *image.size, max_pixels)
        _check_content(image, kind)
        strip = _to_grey(image)
    if kind == "PNG" and not is_complete(data):
        raise InvalidImageError("the PNG ends before its last row")
    return strip


def _check_content(image: Image.Image, kind: str) -> None:
    if _has_more_frames(image, kind):
        raise InvalidImageError(f"the {kind} holds several frames; exactly 1 is wanted")
    if image.mode not in _EIGHT_BIT + _SIXTEEN_BIT:
        raise _wrong_pixels(kind, image.mode)
    if kind == "TIFF":
        _check_tiff(image)


def _wrong_pixels(kind: str, pixels: str) -> InvalidImageError:
    return InvalidImageError(
        f"the {kind} has pixels of type {pixels!r}; 8-bit grey or RGB or 16-bit grey is wanted"
    )


def _has_more_frames(image: Image.Image, kind: str) -> bool:
    if kind != "TIFF":
        return bool(getattr(image, "n_frames", 1) != 1)
    # A TIFF's frames are a list to be walked; one step is enough and cannot be made to last.
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _check_tiff(image: Image.Image) -> None:
    """Refuse what Pillow would turn, or read with another meaning than the numbers have."""
    if image.getexif().get(_ORIENTATION, 1) != 1:
        raise InvalidImageError("the TIFF asks to be turned; send it as the camera saw it")
    tags = getattr(image, "tag_v2", {})
    if image.mode in _SIXTEEN_BIT and (
        set(tags.get(_BITS_PER_SAMPLE, (16,))) != {16} or tags.get(_PHOTOMETRIC, 1) != 1
    ):
        raise InvalidImageError(
            "the TIFF's grey values are not 16 bits with black at 0; 8-bit grey or RGB or 16-bit grey "
            "is wanted"
        )


def _decode_jpeg(data: bytes, max_pixels: int) -> Strip:
    """Decode the luma channel, without Pillow's copies; corrupt data, which Pillow fills up, is refused."""
    if count_scans(data) > _MAX_SCANS:
        raise InvalidImageError(f"the JPEG has more than {_MAX_SCANS} scans")
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    _check_size("JPEG", width, height, max_pixels)
    if colours not in _JPEG_COLOURS:
        raise _wrong_pixels("JPEG", colours)
    bits = bits_per_sample(data)
    if bits != 8:
        raise _wrong_pixels("JPEG", f"{bits} bits")  # the decoder takes fewer, and leaves them dark
    strip: Strip = simplejpeg.decode_jpeg(data, colorspace="GRAY")[:, :, 0]
    return strip


def _to_grey(image: Image.Image) -> Strip:
    if image.mode in _SIXTEEN_BIT:
        wide = np.asarray(image, dtype=np.uint32)
        return ((wide + 128) // 257).astype(np.uint8)
    return np.asarray(image if image.mode == "L" else image.convert("L"))
