"""Ctrl+C, once and twice."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.images import png
from tests.support.serving import ROOT, environment_without_settings
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.slow

# A file system that hangs, as NFS does: no signal ends the read.
HANGING = """
import sys, threading
import steel_cli.predict, steel_cli.scanner
def hang(path):
    print("reading", file=sys.stderr, flush=True)
    threading.Event().wait(120)
steel_cli.predict.read_file = steel_cli.scanner.read_file = hang
from steel_cli.__main__ import main
main()
"""

IN_ORDER = """
import asyncio, os, signal
import steel_cli.__main__ as command
from steel_cli import interrupts
async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
    finally:
        print("in order", flush=True)
command._run = lambda: interrupts.run(work())
command.main()
"""


@pytest.fixture
def start(tmp_path: Path, tiny_model: Path) -> Callable[[str], subprocess.Popen[str]]:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.png").write_bytes(png(block_strip()))

    def start(command: str) -> subprocess.Popen[str]:
        arguments = [command, str(folder), "--out", str(tmp_path / "out")]
        settings = {"STEEL_MODEL": str(tiny_model), "STEEL_DEVICE": "cpu"}
        process = subprocess.Popen(
            [sys.executable, "-c", HANGING, *arguments],
            cwd=ROOT,
            env=environment_without_settings() | settings,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(process, "reading")
        return process

    return start


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read the error output up to a line that holds a text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended with {process.wait()} and did not say {text!r}")


@pytest.mark.parametrize("command", ["predict", "watch"])
def test_the_second_one_ends_at_once(start: Callable[[str], subprocess.Popen[str]], command: str) -> None:
    process = start(command)
    try:
        process.send_signal(signal.SIGINT)
        wait_for(process, "interrupted: ends when what runs is done; Ctrl+C ends it at once")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    last = messages.splitlines()[-1]
    assert last == "interrupted again: ended at once; start the command again to resume"
    assert "Traceback" not in messages


def test_one_ends_in_order() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_ORDER], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, "in order\n")
    assert done.stderr.splitlines()[-1] == "interrupted; start the command again to resume"
