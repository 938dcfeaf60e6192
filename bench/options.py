"""What the command line may say, and how long things take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Section = Literal["ceilings", "model", "service", "overload", "tiny", "peers"]
SECTIONS: tuple[Section, ...] = ("ceilings", "model", "service", "overload", "tiny", "peers")


@dataclass(frozen=True)
class Options:
    """Measure the service, its ceilings and its peers."""

    out: Path = Path("runs/bench")
    """Folder for bench.json, bench.png, logs and the textbook's network."""
    data: Path | None = None
    """Strips in Kaggle's layout; drawn ones otherwise."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """The model that every server runs: an ONNX file or a folder, as for the service."""
    only: tuple[Section, ...] = SECTIONS
    """Sections to measure."""
    strips: int = 40
    """How many different strips are sent."""
    quick: bool = False
    """Short runs: to see that everything works, not to be quoted."""
    deadline_ms: int = 2000
    """What callers ask for under overload."""
    peer_envs: Path = Path(".venv-peers")
    """Folder with an environment per peer, as the Makefile makes them."""


@dataclass(frozen=True)
class Lengths:
    """How long each part is measured; seconds include the warm-up."""

    rounds: int
    ceiling_seconds: float
    model_rounds: int
    closed_seconds: float
    open_seconds: float
    low_seconds: float
    """Longer, for enough requests."""
    overload_seconds: float
    warm_up: float
    tiny_requests: tuple[int, int]
    """After how many answers memory is read."""


def lengths(quick: bool) -> Lengths:
    """Say how long things take."""
    if quick:
        return Lengths(2, 1.0, 5, 4.0, 5.0, 8.0, 10.0, 1.0, (500, 3000))
    return Lengths(5, 4.0, 30, 10.0, 30.0, 60.0, 60.0, 2.0, (5000, 50_000))
