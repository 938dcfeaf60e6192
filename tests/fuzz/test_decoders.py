"""A few seconds of ``make fuzz-decoders``."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import ROOT


def test_mutated_files_are_answered_or_refused(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("no atheris here: it has wheels for Linux on x86-64 alone")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.decoders", "--seconds", "8", "--corpus", tmp_path / "corpus"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Done " in done.stderr
