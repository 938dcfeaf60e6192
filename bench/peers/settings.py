"""What the benchmark tells a peer, by environment variables: some start their workers from nothing."""

import os
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True)
class PeerSettings:
    """Where to listen and what to run."""

    model: Path
    """The ONNX file."""
    port: int
    workers: int
    """Processes: one per core, and therefore one thread for an inference in each."""


def peer_settings() -> PeerSettings:
    """Read them."""
    return PeerSettings(
        model=Path(os.environ["PEER_MODEL"]),
        port=int(os.environ["PEER_PORT"]),
        workers=int(os.environ["PEER_WORKERS"]),
    )
