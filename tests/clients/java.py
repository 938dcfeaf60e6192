"""Posting a strip with the JDK's ``HttpClient``."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_POST = Path(__file__).with_name("Post.java")


def post_with_java(url: str, strip: Path) -> tuple[int, Any]:
    """Post a strip; return status and answer. The test is skipped where there is no JDK."""
    if shutil.which("java") is None or "jdk.compiler" not in _modules():
        pytest.skip("no JDK here (Debian: apt-get install openjdk-17-jdk-headless)")
    done = subprocess.run(["java", _POST, url, strip], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    status, body = done.stdout.split("\n", 1)
    assert body.startswith("{"), done.stdout
    return int(status), json.loads(body)


def _modules() -> str:
    return subprocess.run(["java", "--list-modules"], capture_output=True, text=True).stdout
