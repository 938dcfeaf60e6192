"""Strips whose answers by the graded model can be computed by hand."""

from pathlib import Path

import numpy as np

from service.geometry import Strip
from tests.support.images import png

HEIGHT, WIDTH = 256, 1600
"""Of a tile of the graded model."""
STRIP = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
"""Two bright rectangles on black: 200 of 255, and 150."""
STRIP[20:50, 100:200] = 200
STRIP[100:110, 700:720] = 150
LARGE, SMALL = 30 * 100, 10 * 20
"""Areas of the rectangles."""


def rectangle(width: int, height: int = 20, value: int = 200) -> Strip:
    """Return a black strip with one bright rectangle."""
    strip = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    strip[50 : 50 + height, 300 : 300 + width] = value
    return strip


def write_many(folder: Path, count: int) -> list[Path]:
    """Write strips: every fourth clean, the others with rectangles, the widest on strip ``count // 2``."""
    files = []
    for number in range(count):
        width = 0 if number % 4 == 3 else 10 + number
        if number == count // 2:
            width = 900
        files.append(folder / f"strip-{number:03d}.png")
        files[-1].write_bytes(png(rectangle(width) if width else np.zeros_like(STRIP)))
    return files
