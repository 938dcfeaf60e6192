"""Ctrl+C, and folders that may not be written, as the shell sees them."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_export.data.draw import DrawConfig, draw
from model_export.training.checkpoint import load_checkpoint
from tests.support.serving import ROOT

pytestmark = pytest.mark.slow

RECIPE = [
    "--epochs",
    "50",
    "--samples-per-epoch",
    "8",
    "--batch-size",
    "4",
    "--crop-width",
    "64",
    "--input-reduction",
    "4",
    "--encoder-depth",
    "3",
    "--decoder-channels",
    "8",
    "--precision",
    "fp32",
    "--threads",
    "1",
    "--workers",
    "1",
]

BOUND = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
"""Root may write everywhere but without this capability."""


def test_a_training_that_is_interrupted_resumes(tmp_path: Path) -> None:
    """As in a terminal, the worker that prepares samples is interrupted, too."""
    draw(DrawConfig(out=tmp_path / "data", count=4))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "model_export", "train", "--fold", "0", "--out", str(out), *RECIPE]
    process = subprocess.Popen(
        [*command, "--drawn", "0", "--data", str(tmp_path / "data")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch 3:"):
                break
        os.killpg(process.pid, signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    lines = [line for line in messages.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    assert process.returncode == 130
    assert lines == ["interrupted"]
    state = load_checkpoint(out / "last.pt")
    assert state.resumes
    assert not [path for path in out.rglob("*") if "unfinished" in path.name]
    with (out / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= state.epoch >= 2


def test_the_start_is_interrupted_too() -> None:
    """Importing torch takes seconds; Ctrl+C in them is no traceback."""
    script = (
        "import os, signal, sys, threading\n"
        "sys.argv = ['model_export', 'evaluate', '--drawn', '1']\n"
        "from model_export.__main__ import main\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.skipif(bool(BOUND) and shutil.which(BOUND[0]) is None, reason="root, and no setpriv")
@pytest.mark.parametrize(
    "arguments",
    [
        ["draw", "--count", "2", "--out", "{closed}/drawn"],
        ["train", "--drawn", "4", *RECIPE, "--out", "{closed}/run"],
        ["export", "--checkpoint", "{checkpoint}", "--out", "{closed}/models"],
        ["starting-point", "--checkpoint", "{checkpoint}", "--out", "{closed}/start.pt"],
        ["submit", "--images", "{images}", "--out", "{closed}/submission.csv"],
        ["report", "--drawn", "2", "--out", "{closed}/report"],
        ["fetch-weights", "--weights", "resnet18", "--out", "{closed}/weights"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_that_may_not_be_written_is_named(
    arguments: list[str], tmp_path: Path, checkpoint: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    draw(DrawConfig(out=tmp_path / "data", count=2))
    names = {"closed": closed, "checkpoint": checkpoint, "images": tmp_path / "data" / "train_images"}
    filled = [argument.format(**names) for argument in arguments]
    done = subprocess.run(
        [*BOUND, sys.executable, "-m", "model_export", *filled],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    messages = [line for line in done.stderr.replace("\r", "\n").splitlines() if "error: " in line]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len(messages) == 1
    assert messages[0].startswith(f"error: {closed}/")
    assert messages[0].endswith(": Permission denied")
    assert not list(closed.iterdir())
