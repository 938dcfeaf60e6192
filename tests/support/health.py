"""Limits of image health for the tiny model, whose strips are black with rectangles; and blind frames."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from service.geometry import Strip
from service.model.metadata import HealthLimits
from tests.support.tiny_model import block_strip, tiny_graph, tiny_metadata, write_model

ANY = (-1e9, 1e9)
NO_STEEL = block_strip()
"""A strip beyond ``LIMITS``: it is black from end to end."""
STEEL = block_strip(c3=(100, 0, 300, 256))
"""A strip within them."""

LIMITS = HealthLimits(
    strips=0,
    black=(0.0, 0.9),
    brightness=ANY,
    contrast=ANY,
    saturated=ANY,
    blank=ANY,
    sharpness=ANY,
    noise=ANY,
    novelty=ANY,
    typical=(0.0,) * 7,
    inverse_covariance=tuple(tuple(float(row == column) for column in range(7)) for row in range(7)),
)


def write_watchful_model(path: Path) -> Path:
    """Write the tiny model with ``LIMITS``."""
    metadata = tiny_metadata().model_copy(update={"health": LIMITS})
    return write_model(path, tiny_graph(), metadata.model_dump_json())


def blind_frames(strip: Strip, seed: int = 0) -> dict[str, Strip]:
    """Return what a camera sends that sees nothing, by its kind, made of a strip that shows steel."""
    random = np.random.default_rng(seed)
    grey, (height, width) = float(strip.mean()), strip.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    image = Image.fromarray(strip)
    frames: dict[str, npt.NDArray[Any]] = {
        "black": np.zeros_like(strip),
        "white": np.full_like(strip, 255),
        "one grey": np.full_like(strip, int(grey)),
        "noise": random.integers(0, 256, strip.shape),
        "noise of a dark sensor": random.poisson(3, strip.shape),
        "noise of a bright sensor": random.normal(grey, 10, strip.shape),
        "a tenth of the light": strip * 0.1,
        "ten times the light": strip * 10.0,
        "saturated": strip + 200.0,
        "a gradient": np.broadcast_to(columns * (255 / width), strip.shape),
        "out of focus": np.asarray(image.filter(ImageFilter.GaussianBlur(5))),
        "far out of focus": np.asarray(image.filter(ImageFilter.GaussianBlur(20))),
        "one column again and again": np.broadcast_to(strip[:, width // 2 : width // 2 + 1], strip.shape),
        "one row again and again": np.broadcast_to(strip[height // 2], strip.shape),
        "lower half missing": np.where(rows < height // 2, strip, 128),
        "right half missing": np.where(columns < width // 2, strip, 128),
        "a third of the pixels random": np.where(
            random.random(strip.shape) < 0.3, random.integers(0, 256, strip.shape), strip
        ),
    }
    return {kind: frame.clip(0, 255).astype(np.uint8) for kind, frame in frames.items()}
