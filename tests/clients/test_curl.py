"""curl, with the options that its users try."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.serving import Server
from tests.support.tiny_model import block_rle

pytestmark = pytest.mark.slow


def curl(*options: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("curl") is None:
        pytest.skip("no curl here (Debian: apt-get install curl)")
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "30",
        "--write-out",
        "\n%{http_code}",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "options",
    [
        "-F file=@{}",
        "-F file=@{};type=image/png",
        "-F file=<{}",
        "-F file=@{} --http1.0",
        "-F file=@{} --http2",
        "-F file=@{} -H Expect:100-continue",
        "-F file=@{} -H Transfer-Encoding:chunked",
        "--data-binary @{} -H Content-Type:image/png",
        "--data-binary @{} -H Content-Type:",
        "--data-binary @{} -H Content-Type:application/octet-stream --http2",
        "--data-binary @{} -H Content-Type:image/png --compressed --tr-encoding",
        "-X POST -T {}",
        "-X POST -T {} -H Transfer-Encoding:chunked",
        "-X POST -T {} --http2",
        "-X POST -T {} -H Expect:100-continue --keepalive-time 1",
    ],
)
def test_a_strip_is_answered(server: Server, strip: Path, options: str) -> None:
    done = curl(*options.format(strip).split(), f"{server.url}/predict")
    body, _, status = done.stdout.rpartition("\n")
    assert (done.returncode, status) == (0, "200"), done.stdout + done.stderr
    assert json.loads(body)["images"][0]["classes"][0]["rle"] == block_rle(10, 5, 3, 4)


@pytest.mark.parametrize(
    ("options", "status", "detail"),
    [
        ("-T {}", "405", "PUT does not work"),
        ("--data-binary @{}", "415", "application/x-www-form-urlencoded"),
        ("-F image=@{}", "422", "named 'file'"),
    ],
)
def test_what_is_sent_otherwise_is_refused_with_what_to_change(
    server: Server, strip: Path, options: str, status: str, detail: str
) -> None:
    done = curl(*options.format(strip).split(), f"{server.url}/predict")
    body, _, got = done.stdout.rpartition("\n")
    assert got == status
    assert detail in json.loads(body)["detail"]


def test_http_2_without_an_upgrade_fails_at_once(server: Server, strip: Path) -> None:
    done = curl("--http2-prior-knowledge", "-F", f"file=@{strip}", f"{server.url}/predict")
    assert done.returncode not in (0, 28)  # 28: timed out
    assert done.stderr
