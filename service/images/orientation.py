"""EXIF orientation: pixels count as the camera stored them, and nothing is turned.

Source: TIFF 6.0, section 8; CIPA DC-008 (Exif) uses the same tag in JPEG, PNG and WebP.
"""

import io

from PIL import Image

_ORIENTATION, _WIDTH, _HEIGHT = 0x112, 256, 257
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Inverse of what a viewer does, by orientation."""


def orientation(image: Image.Image) -> int:
    """Return how viewers turn an image that is not loaded yet: 2 to 8, or 1 if they do not."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in _UNDO else 1


def orientation_of(data: bytes) -> int:
    """Return how viewers turn an image file; see ``orientation``.

    Raises:
        OSError: if it cannot be read as an image.
    """
    with Image.open(io.BytesIO(data)) as image:
        return orientation(image)


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the pixels as stored; Pillow gives those of a TIFF as turned."""
    if image.format != "TIFF":
        return image.size
    tags = getattr(image, "tag_v2", {})
    return int(tags[_WIDTH]), int(tags[_HEIGHT])


def load_as_stored(image: Image.Image) -> Image.Image:
    """Load the pixels as stored; Pillow turns those of a TIFF."""
    turned = orientation(image) if image.format == "TIFF" else 1
    image.load()
    return image.transpose(_UNDO[turned]) if turned in _UNDO else image
