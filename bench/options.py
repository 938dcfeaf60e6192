"""Options of the command line, and the duration of each measurement."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Section = Literal["ceilings", "model", "service", "overload", "tiny", "peers"]
SECTIONS: tuple[Section, ...] = ("ceilings", "model", "service", "overload", "tiny", "peers")


@dataclass(frozen=True)
class Options:
    """Measure the service, its ceilings and other servers."""

    out: Path = Path("runs/bench")
    """Folder for bench.json, bench.png, logs and the textbook network."""
    data: Path | None = None
    """Strips in Kaggle's layout; default: drawn strips."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """Model of every server: an ONNX file or a folder, as for the service."""
    only: tuple[Section, ...] = SECTIONS
    """Sections to measure."""
    strips: int = 40
    """Number of different strips."""
    quick: bool = False
    """Short runs that only check that everything works; do not quote their numbers."""
    deadline_ms: int = 2000
    """Deadline of requests under overload."""
    peer_envs: Path = Path(".venv-peers")
    """Folder with an environment per peer, made by the Makefile."""


@dataclass(frozen=True)
class Lengths:
    """Duration of each measurement; seconds include the warm-up."""

    rounds: int
    ceiling_seconds: float
    model_rounds: int
    closed_seconds: float
    open_seconds: float
    low_seconds: float
    """Longer, to get enough requests."""
    overload_seconds: float
    warm_up: float
    tiny_requests: tuple[int, int]
    """Numbers of answers after which memory is read."""


def choose_lengths(quick: bool) -> Lengths:
    """Return the durations."""
    if quick:
        return Lengths(2, 1.0, 5, 4.0, 5.0, 8.0, 10.0, 1.0, (500, 3000))
    return Lengths(5, 4.0, 30, 10.0, 30.0, 60.0, 60.0, 2.0, (5000, 50_000))
