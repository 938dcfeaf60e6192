"""A stock Java client, which offers HTTP/2 by an upgrade; nginx and Ray Serve are elsewhere."""

from pathlib import Path

import pytest

from tests.clients.java import post_with_java
from tests.support.serving import Server
from tests.support.tiny_model import block_rle


@pytest.mark.slow
def test_java_reads_the_mask_of_its_strip(server: Server, strip: Path) -> None:
    status, answer = post_with_java(f"{server.url}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][0]["rle"] == block_rle(10, 5, 3, 4)
