"""Node.js: fetch (undici), FormData and http."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.serving import Server
from tests.support.tiny_model import block_rle

POST = Path(__file__).with_name("post.mjs")


@pytest.mark.slow
def test_node_reads_the_mask_of_its_strip_whichever_way_it_sends_it(server: Server, strip: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node.js here (Debian: apt-get install nodejs)")
    done = subprocess.run(
        ["node", POST, f"{server.url}/predict", strip], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 10
    for answer in answers:
        assert answer["status"] == 200, answer
        (image,) = json.loads(answer["body"])["images"]
        assert image["classes"][0]["rle"] == block_rle(10, 5, 3, 4), answer["way"]
        if "FormData" in answer["way"]:
            assert image["filename"] == "größe 1.png"
