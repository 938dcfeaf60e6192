"""A server and a strip with a known mask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import png
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_strip


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    # Nobody reads its log here.
    with real_server(tiny_model, port=free_port(), log_level="error") as server:
        yield server


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    """Return a file with the block (10, 5, 3, 4) of class 1."""
    path = tmp_path / "strip.png"
    path.write_bytes(png(block_strip(c1=(10, 5, 3, 4))))
    return path
