"""Drawn images of a mill with any classes and any size, with exact masks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from model_export.data.labelled_strip import Masks
from model_export.data.tile import Shape
from service.geometry import Strip

Canvas = npt.NDArray[np.float64]
Region = npt.NDArray[np.bool_]
"""bool ``[height, width]``: pixels of a defect."""


@dataclass(frozen=True)
class MillStrip:
    """An image that is drawn when it is loaded; its fields determine it.

    Every fifth one is clean; the others show the frequent classes in turn, and every third of them a second
    one. A rare class shows on one of ten times as many images as there are rare classes.
    """

    seed: int
    number: int
    shape: Shape
    """Rows and columns."""
    count: int
    """Number of classes."""
    rare: int = 0
    """How many of them, the last ones, are rare."""

    @property
    def name(self) -> str:
        """File name."""
        return f"mill-{self.seed}-{self.number:06d}.png"

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the image."""
        frequent = self.count - self.rare
        found: set[int] = set()
        if self.number % 5 and frequent:
            first = (self.number - self.number // 5 - 1) % frequent
            found = {first} if self.number % 3 else {first, (first + 1) % frequent}
        if self.rare and self.number % 10 == 7:
            found.add(frequent + self.number // 10 % self.rare)
        return frozenset(found)

    def load(self) -> tuple[Strip, Masks]:
        """Draw the image, uint8 ``[height, width]``, and its masks, bool ``[count, height, width]``."""
        rng = np.random.default_rng((self.seed, self.number, *self.shape))
        canvas = _steel(rng, self.shape)
        masks = np.zeros((self.count, *self.shape), dtype=np.bool_)
        for position in sorted(self.classes):
            outline, surface = look_of(position)
            for _ in range(int(rng.integers(1, 4))):
                region = outline(rng, self.shape)
                surface(rng, canvas, region)
                masks[position] |= region
        canvas += rng.normal(0, rng.uniform(2, 4), canvas.shape)
        return canvas.clip(0, 255).astype(np.uint8), masks


def look_of(
    position: int,
) -> tuple[
    Callable[[np.random.Generator, Shape], Region],
    Callable[[np.random.Generator, Canvas, Region], None],
]:
    """Return outline and surface of a class; no two of 35 positions have both in common."""
    round_number, outline = divmod(position, len(_OUTLINES))
    return _OUTLINES[outline], _SURFACES[(outline - round_number) % len(_SURFACES)]


def _cloud(rng: np.random.Generator, shape: Shape, rows: int, columns: int) -> Canvas:
    """Return smooth noise of about unit variance: a coarse random grid, enlarged."""
    grid = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    image = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64).copy()


def _steel(rng: np.random.Generator, shape: Shape) -> Canvas:
    """Return rolled steel: uneven light, streaks along the rolling direction, cloudy scale."""
    height, width = shape
    canvas = np.full(shape, rng.uniform(80, 130))
    canvas += rng.uniform(5, 15) * _cloud(rng, shape, 2, 5)
    canvas += rng.uniform(2, 5) * _cloud(rng, shape, 3, max(3, width // 8))
    canvas += rng.uniform(1, 3) * _cloud(rng, shape, max(3, height // 10), max(3, width // 10))
    return canvas


def _polygon(shape: Shape, points: list[tuple[float, float]]) -> Region:
    image = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon(points, fill=1)
    return np.array(image, dtype=np.bool_)


def _place(rng: np.random.Generator, shape: Shape) -> tuple[float, float]:
    return rng.uniform(0.1, 0.9) * shape[1], rng.uniform(0.15, 0.85) * shape[0]


def _blob(rng: np.random.Generator, shape: Shape, least: float, most: float) -> Region:
    x, y = _place(rng, shape)
    side = min(shape)
    width, height = rng.uniform(least, most, 2) * side
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    radii = rng.uniform(0.75, 1.15, angles.size)
    points = zip(angles.tolist(), radii.tolist(), strict=True)
    return _polygon(
        shape, [(x + width * r * float(np.cos(a)), y + height * r * float(np.sin(a))) for a, r in points]
    )


def _spot(rng: np.random.Generator, shape: Shape) -> Region:
    return _blob(rng, shape, 0.04, 0.1)


def _patch(rng: np.random.Generator, shape: Shape) -> Region:
    return _blob(rng, shape, 0.15, 0.3)


def _bar(rng: np.random.Generator, shape: Shape, along: tuple[float, float]) -> Region:
    """Return a straight bar in a direction, a unit vector in columns and rows."""
    x, y = _place(rng, shape)
    side = min(shape)
    length, half = rng.uniform(0.2, 0.45) * side, max(2.0, rng.uniform(0.01, 0.025) * side)
    lean = rng.uniform(-0.1, 0.1)
    dx, dy = along[0] + lean * along[1], along[1] + lean * along[0]
    return _polygon(
        shape,
        [
            (x + sign * length * dx + wide * half * dy, y + sign * length * dy - wide * half * dx)
            for sign, wide in ((-1, -1), (-1, 1), (1, 1), (1, -1))
        ],
    )


def _line_down(rng: np.random.Generator, shape: Shape) -> Region:
    return _bar(rng, shape, (0.0, 1.0))


def _line_across(rng: np.random.Generator, shape: Shape) -> Region:
    return _bar(rng, shape, (1.0, 0.0))


def _diagonal(rng: np.random.Generator, shape: Shape) -> Region:
    return _bar(rng, shape, (0.7, 0.7))


def _pits(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    pits = rng.random(canvas.shape) < 0.4
    canvas[region & pits] -= rng.uniform(40, 60)


def _bright(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    canvas[region] += rng.uniform(40, 80)


def _dark(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    canvas[region] -= rng.uniform(35, 60)


def _rough(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    height, width = canvas.shape
    rough = _cloud(rng, (height, width), max(3, height // 6), max(3, width // 6))
    canvas[region] += 35 * rough[region]


def _stripes(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    wave = np.sign(np.sin(np.arange(canvas.shape[0]) * (np.pi / 4) + rng.uniform(0, 6)))
    canvas[region] += np.broadcast_to(30 * wave[:, None], canvas.shape)[region]


def _columns(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    wave = np.sign(np.sin(np.arange(canvas.shape[1]) * (np.pi / 4) + rng.uniform(0, 6)))
    canvas[region] += np.broadcast_to(30 * wave[None], canvas.shape)[region]


def _grains(rng: np.random.Generator, canvas: Canvas, region: Region) -> None:
    grains = rng.random(canvas.shape) < 0.2
    canvas[region & grains] += rng.uniform(60, 100)


_OUTLINES = (_spot, _line_down, _line_across, _patch, _diagonal)
_SURFACES = (_pits, _dark, _bright, _rough, _stripes, _columns, _grains)
