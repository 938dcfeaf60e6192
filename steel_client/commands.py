"""``steel predict`` and ``steel watch``."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from PIL import Image as PillowImage
from tqdm import tqdm

from service.overlay import draw_overlay
from steel_client.client import AsyncSteelClient
from steel_client.errors import SteelError
from steel_client.files import Outcome
from steel_client.journal import Journal
from steel_client.writers import write_coco, write_kaggle

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
JOURNAL = "predictions.jsonl"
_SETTLE_SECONDS = 0.5
"""A file that is as large as this long ago has been written to its end."""

Format = Literal["kaggle", "coco", "pictures"]


@dataclass(frozen=True)
class Common:
    """What both commands may be told."""

    folder: tyro.conf.Positional[Path]
    """Where the images are; folders in it are searched too."""
    out: Path = Path("runs/predictions")
    """Folder for predictions.jsonl, a line per file, and what else is asked for. Interrupted and started
    again, the command goes on where it was."""
    server: str | None = None
    """Of a running service, http://host:8000; without it the model runs in this process."""
    model: Path | None = None
    """Without a server: an ONNX file or a folder <name>/<version>/model.onnx; else what STEEL_MODEL says."""
    profile: str = "inspection"
    """The operating point."""
    api_key: Annotated[str | None, tyro.conf.arg(help_behavior_hint="")] = None
    """Where the service wants one."""
    at_once: int = 8
    """Files that are under way at the same time at most."""
    timeout: float = 60.0
    """Seconds for a file, tries and pauses included."""


@dataclass(frozen=True)
class PredictConfig(Common):
    """Find the defects on every image of a folder."""

    write: tuple[Format, ...] = field(default=())
    """Besides predictions.jsonl: kaggle (submission.csv), coco (coco.json), pictures (with coloured masks)."""


@dataclass(frozen=True)
class WatchConfig(Common):
    """Find the defects on images as a camera drops them into a folder, until stopped by Ctrl+C."""

    pictures: bool = False
    """Draw the masks of each image that has a defect."""
    interval: float = 0.5
    """Seconds between two looks at the folder."""


def predict(config: PredictConfig) -> int:
    """Predict a folder; return the exit code: 0 if every file was answered, 1 if some were refused.

    Raises:
        SteelError: if the folder, the server or the model is not there.
    """
    paths = list(_images(config.folder))
    if not paths:
        raise SteelError(f"{config.folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    with Journal(config.out / JOURNAL) as journal:
        asyncio.run(_predict(config, journal, paths))
    refused = _summary(config.out / JOURNAL)
    if "kaggle" in config.write:
        write_kaggle(config.out / JOURNAL, config.out / "submission.csv")
    if "coco" in config.write:
        write_coco(config.out / JOURNAL, config.out / "coco.json")
    return 1 if refused else 0
