"""docs/client.md: its programs and commands run, against a server, and give what it shows."""

import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from steel_bulk import command
from steel_bulk.parts import PartReport
from steel_bulk.worker import PartWorker, WorkerConfig
from steel_cli.__main__ import main
from steel_cli.predict import Format
from steel_client import SteelError
from steel_client.client import Options, _Requests
from tests.support.packages import PROJECT
from tests.support.serving import ROOT, Server, real_server

PAGE = (ROOT / "docs" / "client.md").read_text()
URL = "http://localhost:8000"
PROGRAMS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^steel .*", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def server(default_model: Path) -> Iterator[Server]:
    with real_server(default_model) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with what the page names."""
    strip = (ROOT / "examples" / "strip.png").read_bytes()
    for name in ("examples", "strips"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "strip.png").write_bytes(strip)
    (tmp_path / "strips" / "cut.png").write_bytes(strip[:5000])
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEEL_DEVICE", "cpu")
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=["blocking", "asynchronous"])
def test_a_program_prints_what_is_shown(server: Server, folder: Path, program: str, shown: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program.replace(URL, server.url)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(shown.splitlines())


def steel(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process; return its exit code."""
    monkeypatch.setattr("sys.argv", ["steel", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("steel predict")])
def test_predict_runs(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    arguments = shlex.split(line.replace(URL, server.url))[1:]
    assert steel(arguments, monkeypatch) == 1  # one file is broken
    out = folder / ("runs/local" if "--out" in arguments else "runs/predictions")
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    listed = set(re.findall(r"`([\w.]+\.(?:csv|json|xml))`", PAGE)) - {"run.json"}
    expected = {"predictions.jsonl", "run.json"} | (
        {*listed, "pictures/strip.png"} if "--write" in arguments else set()
    )
    assert files == expected
    shown = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    lines = [json.loads(text) for text in (out / "predictions.jsonl").read_text().splitlines()]
    (answer,) = [found for found in lines if found["file"] == "strip.png"]
    assert shorten(answer) == shorten(shown)
    (refused,) = [found for found in lines if found["file"] == "cut.png"]
    assert refused.keys() == {"file", "status", "verdict", "reason", "error", "sha256"}


def shorten(line: dict[str, Any]) -> dict[str, Any]:
    """Keep the first class, and round what processors compute differently in the last place."""
    found = line["classes"][0]
    kept = {**found, "rle": found["rle"].split()[:2], "area": round(found["area"], -2)}
    kept["probability"] = round(found["probability"], 2)
    return {**line, "classes": [kept], "defect_probability": round(line["defect_probability"], 2)}


@pytest.mark.slow
def test_watch_runs_until_it_is_interrupted(server: Server, folder: Path) -> None:
    (line,) = [line for line in COMMANDS if line.startswith("steel watch")]
    arguments = shlex.split(line.replace(URL, server.url).replace("/mnt/camera3", "strips"))[1:]
    process = subprocess.Popen(
        [sys.executable, "-m", "steel_cli", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = {process.stdout.readline() for _ in range(2)}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "strip.png: defect: pitting 100%" in {line.partition(",")[0] for line in lines}
    assert (folder / "runs/predictions/pictures/strip.png").is_file()


def test_bulk_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ray(config: WorkerConfig, parts: Sequence[int], **_: object) -> Iterator[PartReport]:
        return map(PartWorker(config).predict, parts)

    monkeypatch.setattr(command, "predict_parts", without_ray)
    (line,) = [line for line in COMMANDS if line.startswith("steel bulk")]
    assert steel(shlex.split(line)[1:], monkeypatch) == 1
    assert (folder / "runs/bulk/strips/part-000000.parquet").is_file()


def test_extras_are_those_of_the_project() -> None:
    named = {extra for text in re.findall(r'pip install "\.\[(.*?)\]"', PAGE) for extra in text.split(",")}
    assert {"client", "cpu", "bulk"} <= named <= PROJECT["optional-dependencies"].keys()


def test_every_option_is_listed_with_its_default() -> None:
    parameters = inspect.signature(_Requests.__init__).parameters
    for name in Options.__annotations__:
        default = parameters[name].default
        assert f"| `{name}` | {'-' if default is None else format(default, 'g')} |" in PAGE


def test_the_statuses_that_are_retried_are_the_transient_ones() -> None:
    listed = re.search(r"^\| ([\d, ]+) \| after `Retry-After`", PAGE, re.MULTILINE)
    assert listed is not None
    statuses = [int(status) for status in listed[1].split(",")]
    assert statuses == [status for status in range(400, 600) if SteelError("", status=status).transient]


def test_every_format_is_listed() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \| `", PAGE, re.MULTILINE) == list(get_args(Format))
