"""Fonts of pictures: Pillow's own, which knows ASCII only, and DejaVu Sans for names in other alphabets."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OTHER = Path(__file__).parent / "dejavu" / "DejaVuSans.ttf"
"""DejaVu Sans, reduced to the Latin, Greek and Cyrillic alphabets; its licence is beside it."""
_NO_CHARACTER = "\U0010ffff"
_UNKNOWN = "?"


def load_font(texts: Iterable[str], size: int) -> Font:
    """Load the font that draws all of these texts: Pillow's, unless one has characters beyond ASCII."""
    if all(text.isascii() for text in texts):
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(_OTHER), size)


def drawable(text: str, font: Font) -> str:
    """Return a text as a font can draw it: composed, and with ``?`` for what the font lacks."""
    if text.isascii():
        return text
    lacking = bytes(font.getmask(_NO_CHARACTER))
    return "".join(
        _UNKNOWN if not char.isspace() and bytes(font.getmask(char)) == lacking else char
        for char in unicodedata.normalize("NFC", text)
    )
