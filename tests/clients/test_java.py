"""A stock Java client, over the service itself and over nginx with the usual snippet for web sockets."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import png
from tests.support.proxies import behind_nginx_for_web_sockets
from tests.support.serving import Server, real_server
from tests.support.tiny_model import block_rle, block_strip

POST = Path(__file__).with_name("Post.java")


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with real_server(tiny_model) as server:
        yield server


def post(url: str, strip: Path) -> tuple[int, Any]:
    """Post a strip with Java; return status and answer."""
    if shutil.which("java") is None or "jdk.compiler" not in modules():
        pytest.skip("no JDK here (Debian: apt-get install openjdk-17-jdk-headless)")
    done = subprocess.run(["java", POST, url, strip], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    status, body = done.stdout.split("\n", 1)
    return int(status), json.loads(body)


def modules() -> str:
    return subprocess.run(["java", "--list-modules"], capture_output=True, text=True).stdout


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    path = tmp_path / "strip.png"
    path.write_bytes(png(block_strip(c1=(10, 5, 3, 4))))
    return path


@pytest.mark.slow
def test_java_reads_the_mask_of_its_strip(server: Server, strip: Path) -> None:
    status, answer = post(f"{server.url}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][0]["rle"] == block_rle(10, 5, 3, 4)


@pytest.mark.slow
def test_java_reads_it_behind_nginx(server: Server, strip: Path, tmp_path: Path) -> None:
    with behind_nginx_for_web_sockets(server.url, tmp_path) as url:
        status, answer = post(f"{url}/predict", strip)
    assert status == 200
    assert answer["images"][0]["classes"][0]["rle"] == block_rle(10, 5, 3, 4)
