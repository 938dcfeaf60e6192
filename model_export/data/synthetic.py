"""Drawn strips of Severstal's kinds and size with exact masks, so that everything runs without a data set."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from model_export.data.labelled_strip import CLEAN, Masks
from model_export.data.severstal import CLASSES, HEIGHT, WIDTH
from model_export.data.tile import Shape
from service.geometry import Strip
from service.masks import rle

_COUNT = len(CLASSES)

Canvas = npt.NDArray[np.float64]
Region = npt.NDArray[np.bool_]
"""bool ``[256, 1600]``: pixels of a defect."""


@dataclass(frozen=True)
class DrawnStrip:
    """A strip that is drawn when it is loaded; its seed and number determine it.

    Every fifth strip is clean; the others hold one class in turn, and every third of them a second one.
    """

    seed: int
    number: int
    shape: ClassVar[Shape] = (HEIGHT, WIDTH)

    @property
    def name(self) -> str:
        """File name."""
        return f"drawn-{self.seed}-{self.number:06d}.png"

    @cached_property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the strip."""
        first = self.number % (_COUNT + 1) - 1
        if first == CLEAN:
            return frozenset()
        if self.number % 3:
            return frozenset({first})
        return frozenset({first, (first + 1) % _COUNT})

    def load(self) -> tuple[Strip, Masks]:
        """Draw the strip, uint8 ``[256, 1600]``, and its masks, bool ``[4, 256, 1600]``."""
        return draw_strip(np.random.default_rng((self.seed, self.number)), self.classes)


@dataclass(frozen=True)
class ShapedStrip:
    """A drawn strip whose defects have the shape, position and size of given masks, e.g. real ones."""

    source: str
    """Name of the strip that the masks come from."""
    rles: tuple[str, ...]
    """Kaggle's run-length codes, one per class."""
    seed: int

    @property
    def name(self) -> str:
        """File name."""
        return f"shaped-{self.seed}-{self.source}".rsplit(".", 1)[0] + ".png"

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the strip."""
        return frozenset(index for index, code in enumerate(self.rles) if code)

    def load(self) -> tuple[Strip, Masks]:
        """Draw the strip, uint8 ``[256, 1600]``, and its masks, bool ``[4, 256, 1600]``."""
        masks = np.stack([rle.decode(code, height=HEIGHT, width=WIDTH).T for code in self.rles])
        return draw_shapes(np.random.default_rng((self.seed, crc32(self.source.encode()))), masks)


def drawn_strips(count: int, seed: int) -> list[DrawnStrip]:
    """Return ``count`` strips to draw."""
    return [DrawnStrip(seed, number) for number in range(count)]


def draw_strip(rng: np.random.Generator, classes: frozenset[int]) -> tuple[Strip, Masks]:
    """Draw a strip with defects of the given classes and their exact masks."""
    left, right = _edges(rng)
    canvas = _steel(rng)
    masks = np.zeros((_COUNT, HEIGHT, WIDTH), dtype=np.bool_)
    for position in sorted(classes):
        for _ in range(int(rng.integers(1, 4))):
            region = _SHAPES[position](rng, int(rng.integers(left + 60, right - 60)))
            _SURFACES[position](rng, canvas, region)
            masks[position] |= region
    return _finish(rng, canvas, masks, left, right)


def draw_shapes(rng: np.random.Generator, masks: Masks) -> tuple[Strip, Masks]:
    """Draw a strip whose defects fill given masks."""
    canvas = _steel(rng)
    for mask, draw_surface in zip(masks, _SURFACES, strict=True):
        if mask.any():
            draw_surface(rng, canvas, mask)
    return _finish(rng, canvas, masks, 0, WIDTH)


def _finish(
    rng: np.random.Generator, canvas: Canvas, masks: Masks, left: int, right: int
) -> tuple[Strip, Masks]:
    """Add camera noise, and black beyond the strip's edges, where masks are cleared."""
    masks[:, :, :left] = False
    masks[:, :, right:] = False
    canvas += rng.normal(0, rng.uniform(2, 5), canvas.shape)
    canvas[:, :left] = rng.uniform(0, 3)
    canvas[:, right:] = rng.uniform(0, 3)
    return canvas.clip(0, 255).astype(np.uint8), masks


def _edges(rng: np.random.Generator) -> tuple[int, int]:
    """Choose the first and last column of the strip; the table beyond is black."""
    side = rng.random()
    width = int(rng.integers(50, 800))
    if side < 0.15:
        return width, WIDTH
    if side < 0.3:
        return 0, WIDTH - width
    return 0, WIDTH


def _cloud(rng: np.random.Generator, rows: int, columns: int) -> Canvas:
    """Return smooth noise of about unit variance: a coarse random grid, enlarged."""
    grid = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    image = Image.fromarray(grid).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64).copy()


def _steel(rng: np.random.Generator) -> Canvas:
    """Return rolled steel: uneven light, streaks along the rolling direction, cloudy scale."""
    canvas = np.full((HEIGHT, WIDTH), rng.uniform(60, 130))
    canvas += rng.uniform(5, 20) * _cloud(rng, 2, 5)
    canvas += rng.uniform(2, 6) * _cloud(rng, 3, 200)
    canvas += rng.uniform(1, 4) * _cloud(rng, 24, 150)
    return canvas


def _polygon(points: list[tuple[float, float]]) -> Region:
    image = Image.new("1", (WIDTH, HEIGHT))
    ImageDraw.Draw(image).polygon(points, fill=1)
    return np.array(image, dtype=np.bool_)


def _blob(rng: np.random.Generator, x: float, y: float, width: float, height: float) -> Region:
    """Return an uneven ellipse with about the given half axes."""
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    radii = rng.uniform(0.7, 1.15, angles.size)
    return _polygon(
        [
            (x + width * r * float(np.cos(a)), y + height * r * float(np.sin(a)))
            for a, r in zip(angles, radii, strict=True)
        ]
    )


def _pitting_shape(rng: np.random.Generator, x: float) -> Region:
    return _blob(rng, x, rng.uniform(40, HEIGHT - 40), rng.uniform(10, 22), rng.uniform(16, 45))


def _pitting(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    """Draw class 1: a small spot of dark pits with bright rims."""
    pits = rng.random(canvas.shape) < 0.35
    canvas[region & pits] -= rng.uniform(35, 60)
    canvas[region & ~pits] += rng.uniform(5, 20)


def _vertical_line_shape(rng: np.random.Generator, x: float) -> Region:
    top = rng.uniform(0, 100)
    bottom = rng.uniform(top + 100, HEIGHT)
    lean = rng.uniform(-15, 15)
    half = rng.uniform(5, 10)
    return _polygon([(x - half, top), (x + half, top), (x + lean + half, bottom), (x + lean - half, bottom)])


def _vertical_line(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    """Draw class 2: a thin dark line along the rolling direction."""
    rows = np.flatnonzero(region.any(axis=1))
    middle = np.round((region[rows] * np.arange(WIDTH)).sum(axis=1) / region[rows].sum(axis=1)).astype(int)
    core = np.zeros_like(region)
    for offset in (-1, 0, 1):
        core[rows, np.clip(middle + offset, 0, WIDTH - 1)] = True
    canvas[region] -= rng.uniform(4, 10)
    canvas[core & region] -= rng.uniform(25, 45)


def _scratch_shape(rng: np.random.Generator, x: float) -> Region:
    top = rng.uniform(0, 150)
    bottom = rng.uniform(top + 60, HEIGHT + 40)
    lean = rng.uniform(-25, 25)
    half = rng.uniform(8, 22)
    return _polygon([(x - half, top), (x + half, top), (x + lean + half, bottom), (x + lean - half, bottom)])


def _scratch(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    """Draw class 3: a bright, frayed scratch."""
    frayed = _cloud(rng, 6, 400) > 0.2
    canvas[region & frayed] += rng.uniform(35, 80)


def _patch_shape(rng: np.random.Generator, x: float) -> Region:
    return _blob(rng, x, rng.uniform(60, HEIGHT - 60), rng.uniform(50, 140), rng.uniform(40, 90))


def _patch(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    """Draw class 4: a large patch of torn, uneven surface."""
    rough = _cloud(rng, 32, 160)
    canvas[region] += rng.uniform(18, 30) * rough[region] - rng.uniform(15, 35)


_SHAPES: tuple[Callable[[np.random.Generator, float], Region], ...] = (
    _pitting_shape,
    _vertical_line_shape,
    _scratch_shape,
    _patch_shape,
)
_SURFACES: tuple[Callable[[np.random.Generator, Canvas, Region], None], ...] = (
    _pitting,
    _vertical_line,
    _scratch,
    _patch,
)
