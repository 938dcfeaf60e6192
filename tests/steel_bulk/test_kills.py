"""Real runs on Ray, killed at several places: every strip keeps exactly one row."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.steel_bulk.archive import add_bad_files, names_of, rows_of, write_archive
from tests.support.serving import ROOT, service_environment
from tests.support.tiny_model import write_slow_model

pytestmark = pytest.mark.slow

STRIPS = 48
_WAIT_SECONDS = 120


class Run:
    """``steel bulk`` as a process of its own, with what it starts.

    Args:
        arguments: after the command.
        model: that answers.
    """

    def __init__(self, *arguments: object, model: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "steel_cli", "bulk", *map(str, arguments)],
            cwd=ROOT,
            env=service_environment(model),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """Processes that answer parts; Ray names them so."""
        return [one for one in self.tree() if "MapWorker" in " ".join(one.cmdline())]

    def kill(self) -> None:
        """End everything at once."""
        for one in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    archive = write_archive(tmp_path / "archive", STRIPS)
    add_bad_files(archive)
    return archive


@pytest.fixture
def run(archive: Path, tmp_path: Path) -> Iterator[Callable[[], Run]]:
    model = write_slow_model(tmp_path / "slow" / "1" / "model.onnx", matmuls=8)
    runs: list[Run] = []

    def start() -> Run:
        arguments = (archive, "--out", tmp_path / "out", "--workers", 2, "--strips-per-part", 4)
        runs.append(Run(*arguments, model=model))
        return runs[-1]

    yield start
    for one in runs:
        one.kill()
        if one.process.stdout is not None:
            one.process.stdout.close()


def test_whatever_is_killed_each_strip_has_one_row(
    run: Callable[[], Run], archive: Path, tmp_path: Path
) -> None:
    strips = tmp_path / "out" / "strips"

    def parts() -> int:
        return len(list(strips.glob("*.parquet")))

    first = run()
    first.wait_for(lambda: parts() >= 2)
    first.kill()
    left = parts()
    assert 2 <= left < 10
    second = run()
    second.wait_for(lambda: parts() >= left + 2 and bool(second.workers()))
    second.workers()[0].kill()
    output, _ = second.process.communicate(timeout=_WAIT_SECONDS)
    assert second.process.returncode == 1, output
    assert "Traceback" not in output
    assert f"{STRIPS + 4} strips, {STRIPS} with a defect, 0 suspect, 0 not inspected, 4 refused" in output
    rows = rows_of(tmp_path / "out")
    assert sorted(row["file"] for row in rows) == names_of(archive)
    assert [row["status"] for row in rows].count(200) == STRIPS
