"""Settings of a peer, in environment variables, which also reach spawned workers."""

import os
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True)
class PeerSettings:
    """Port, model and workers of a peer."""

    model: Path
    """The ONNX file."""
    port: int
    workers: int
    """Processes: one per core, each with one thread per inference."""


def peer_settings() -> PeerSettings:
    """Read the settings."""
    return PeerSettings(
        model=Path(os.environ["PEER_MODEL"]),
        port=int(os.environ["PEER_PORT"]),
        workers=int(os.environ["PEER_WORKERS"]),
    )
