"""A tiny model of a mill with a catalogue of seven defects, and its frames."""

from pathlib import Path

from service.geometry import Strip
from service.model.metadata import DefectClass
from tests.support.tiny_model import Box, block_rle, draw_blocks, write_tiny_model

TILE = (64, 128)
"""Rows and columns of the model's input."""
FRAME = (96, 300)
"""Rows and columns of a frame, which takes several tiles."""
KINDS = (
    DefectClass(id=2, name="rolled-in scale"),
    DefectClass(id=3, name="crack"),
    DefectClass(id=7, name="edge <burr>"),
    DefectClass(id=10, name="Öl & Fett"),
    DefectClass(id=11, name="lamination"),
    DefectClass(id=40, name="dent"),
    DefectClass(id=1200, name="hole"),
)
"""Ids with gaps, and names that need escapes in XML and characters beyond ASCII."""
VALUES = {kind.id: 30 * number for number, kind in enumerate(KINDS, 1)}
"""Grey value of each class, by its id."""


def write_seven_model(
    path: Path, version: str = "1", *, tile: tuple[int, int] = TILE, pad: bool = False
) -> Path:
    """Write the model."""
    return write_tiny_model(path, version, tuple(VALUES.values()), tile=tile, kinds=KINDS, pad=pad)


def seven_frame(blocks: dict[int, Box], shape: tuple[int, int] = FRAME) -> Strip:
    """Return a black frame with rectangles, left, top, width and height, by the id of their class."""
    return draw_blocks(shape, [(VALUES[class_id], box) for class_id, box in blocks.items()])


def seven_rle(box: Box, shape: tuple[int, int] = FRAME) -> str:
    """Return Kaggle's code of a rectangle in a frame, computed without the code under test."""
    return block_rle(*box, rows=shape[0])
