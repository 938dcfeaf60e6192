"""The service in a container of a Docker engine."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.serving import ROOT

PORT = "8917"
URL = f"http://127.0.0.1:{PORT}"


def docker(*arguments: str) -> str:
    """Run the client; answer what it prints.

    Raises:
        AssertionError: if it fails.
    """
    result = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=os.environ | {"STEEL_PUBLISH": PORT, "COMPOSE_PROJECT_NAME": "steel-test"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}:\n{result.stdout}\n{result.stderr}")
    return result.stdout


def works(*arguments: str) -> bool:
    """Check that there is a docker client and that this command works."""
    found = shutil.which("docker") is not None
    return found and subprocess.run(["docker", *arguments], capture_output=True).returncode == 0


@contextlib.contextmanager
def running_container() -> Iterator[str]:
    """Bring the service up as compose does, healthy; give the container's id."""
    if not works("info") or not works("compose", "version"):
        pytest.skip("no Docker engine with compose here")
    try:
        docker("compose", "up", "--detach", "--build", "--wait")
        yield docker("compose", "ps", "--quiet").strip()
    finally:
        docker("compose", "down")
