"""Names in pictures."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFont

from service.masks.fonts import drawable, load_font
from service.masks.overlay import Layer, draw_overlay


def test_ascii_keeps_the_font_that_it_had() -> None:
    font, default = load_font(["3 scratch 97%", "DEFECT: scratch 97%, 4 px"], 16), ImageFont.load_default(16)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert isinstance(default, ImageFont.FreeTypeFont)
    assert font.getname() == default.getname()
    assert drawable("3 scratch 97%", font) == "3 scratch 97%"


@pytest.mark.parametrize(
    "name", ["Öl & Fett", "décapage", "łuska", "çizik", "οξείδιο", "окалина", "O\u0308l"]
)
def test_european_names_are_drawn(name: str) -> None:
    font = load_font([name], 16)
    assert "?" not in drawable(name, font)
    lacking = bytes(font.getmask("\U0010ffff"))
    assert all(bytes(font.getmask(char)) != lacking for char in drawable(name, font) if char != " ")


def test_what_cannot_be_drawn_is_a_question_mark() -> None:
    name = "10 划痕 Öl"
    assert drawable(name, load_font([name], 16)) == "10 ?? Öl"


def test_a_picture_has_the_letters_of_its_captions() -> None:
    strip = np.zeros((64, 1600), dtype=np.uint8)

    def legend(caption: str) -> npt.NDArray[np.uint8]:
        picture = Image.open(io.BytesIO(draw_overlay(strip, [Layer(0, caption, None)])))
        return np.asarray(picture)[64:]

    assert (legend("1 Öl") != legend("1 Ül")).any()
    assert (legend("1 划") == legend("1 痕")).all()  # both cannot be drawn
