"""A short chaos run: twenty seconds of what ``make chaos`` does for ten minutes."""

import subprocess
import sys

import pytest

from tests.support.serving import ROOT

pytestmark = pytest.mark.slow


def test_nothing_is_lost_in_chaos() -> None:
    options = ["--minutes", "0.3", "--rate", "50", "--reload-seconds", "2.5", "--kills", "1"]
    result = subprocess.run(
        [sys.executable, "-m", "bench.chaos", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 violations" in result.stdout
    assert "kills: 1" in result.stdout
    assert "'bad model refused': 2" in result.stdout
