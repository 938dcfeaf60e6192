"""``steel watch``: outages, overwritten names, slow copies; and the command in a process of its own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from steel_cli import patience, watch
from steel_cli.watch import WatchConfig
from steel_client import SteelError
from tests.steel_cli.conftest import Service, Steel
from tests.support.images import png
from tests.support.serving import ROOT, free_port, real_server
from tests.support.tiny_model import block_strip
from tests.support.waiting import until

STRIPS = [png(block_strip(c3=(100 + number, 20, 5, 30))) for number in range(8)]
pytestmark = pytest.mark.anyio


def lines(out: Path) -> list[dict[str, Any]]:
    path = out / "predictions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@contextlib.asynccontextmanager
async def watching(folder: Path, out: Path, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run the command; interrupt it at the end of the block."""
    config = WatchConfig(
        folder, out, server="http://x", **{"interval": 0.02, "settle": 0.2, "timeout": 5.0, **options}
    )
    task = asyncio.create_task(watch._watch(config, folder))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(watch, "_RETRIES", 0)


@pytest.mark.parametrize("away", [httpx.ConnectError("refused"), 404, 500, 502, 503, 504, 401])
async def test_an_outage_is_waited_for_and_every_version_answered_once(
    service: Service, folder: Path, out: Path, capsys: pytest.CaptureFixture[str], away: int | Exception
) -> None:
    (folder / "0.png").write_bytes(STRIPS[0])
    async with watching(folder, out, concurrency=2) as task:
        await reached(lambda: len(lines(out)) == 1)
        service.away = away
        for number in (1, 2, 3):  # a ring buffer of one name
            (folder / "0.png").write_bytes(STRIPS[number])
            (folder / f"new {number}.png").write_bytes(STRIPS[4 + number])
            await asyncio.sleep(0.3)
        await reached(lambda: service.refused > 5)
        assert not task.done()
        assert len(lines(out)) == 1
        service.away = None
        await reached(lambda: len(lines(out)) >= 7)
        await asyncio.sleep(0.3)
        assert not task.done()
    assert [line["status"] for line in lines(out)] == [200] * 7
    areas = [line["classes"][2]["rle"].split()[0] for line in lines(out) if line["file"] == "0.png"]
    assert len(set(areas)) == 4
    assert areas == sorted(areas, key=int)  # in the order that they were written
    assert sorted(data for _, data in service.received) == sorted(STRIPS[:4] + STRIPS[5:])
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith("waiting for the service: ")]) == 1
    assert said[-1] == "the service answers again"


async def test_a_service_that_is_not_there_yet_is_waited_for(
    service: Service, folder: Path, out: Path
) -> None:
    service.away = httpx.ConnectError("refused")
    async with watching(folder, out):
        for number in range(3):  # overwritten before the service has ever answered
            (folder / "0.png").write_bytes(STRIPS[number])
            await asyncio.sleep(0.3)
        await reached(lambda: service.refused > 2)
        assert lines(out) == []
        service.away = None
        await reached(lambda: len(lines(out)) == 3)
    assert [data for _, data in service.received] == STRIPS[:3]


async def test_a_strip_that_fails_alone_is_refused_and_does_not_stop_the_others(
    service: Service, folder: Path, out: Path
) -> None:
    service.failing["bad.png"] = 500
    (folder / "bad.png").write_bytes(STRIPS[0])
    async with watching(folder, out, concurrency=2):
        for number in range(100):
            (folder / f"{number}.png").write_bytes(STRIPS[1])
            await asyncio.sleep(0.02)
            if any(line["file"] == "bad.png" for line in lines(out)):
                break
        await reached(lambda: any(line["file"] == "bad.png" for line in lines(out)))
    (bad,) = [line for line in lines(out) if line["file"] == "bad.png"]
    assert bad["status"] == 500


async def test_a_wrong_profile_ends_it_with_nothing_written(
    service: Service, folder: Path, out: Path
) -> None:
    async with watching(folder, out, profile="typo") as task:
        with pytest.raises(SteelError, match="expected one of inspection, kaggle, got 'typo'"):
            await task
    assert [path.name for path in out.parent.iterdir()] == ["images"]


@pytest.mark.parametrize("allocate", [False, True], ids=["growing", "allocated"])
async def test_a_slow_copy_is_answered_once(
    service: Service, folder: Path, out: Path, allocate: bool
) -> None:
    data = STRIPS[0]
    with (folder / "slow.png").open("wb") as file:
        if allocate:
            file.truncate(len(data))
        async with watching(folder, out, settle=1.0):
            for start in range(0, len(data), len(data) // 4 + 1):
                file.write(data[start : start + len(data) // 4 + 1])
                file.flush()
                await asyncio.sleep(0.3)  # longer than two scans
            await reached(lambda: len(lines(out)) == 1)
            await asyncio.sleep(1.2)
    assert [line["status"] for line in lines(out)] == [200]


async def test_a_broken_file_is_refused_once_it_is_left_alone(
    service: Service, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.png").write_bytes(STRIPS[0][:200])
    async with watching(folder, out):
        await reached(lambda: len(lines(out)) == 1)
        (folder / "bad.png").write_bytes(b"another bad one")
        await reached(lambda: len(service.received) == 2)
        (folder / "bad.png").write_bytes(STRIPS[1])
        await reached(lambda: len(lines(out)) == 3)
    assert [line["status"] for line in lines(out)] == [422, 415, 200]
    assert "bad.png: refused: Invalid image: the PNG" in capsys.readouterr().out


async def test_a_restart_answers_what_came_meanwhile(service: Service, folder: Path, out: Path) -> None:
    for number in (0, 1):
        (folder / f"{number}.png").write_bytes(STRIPS[number])
    async with watching(folder, out):
        await reached(lambda: len(lines(out)) == 2)
    (folder / "1.png").write_bytes(STRIPS[2])
    async with watching(folder, out):
        await reached(lambda: len(lines(out)) == 3)
        await asyncio.sleep(0.2)
    assert [line["file"] for line in lines(out)][2:] == ["1.png"]
    assert len(service.received) == 3


async def test_names_of_every_kind(
    service: Service, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["\udcff.png", "line\nbreak.png", "return\r.png", " blank.png", "größe\u2028.png"]
    for name in names:
        (folder / name).write_bytes(STRIPS[0])
    async with watching(folder, out, pictures=True):
        await reached(lambda: len(lines(out)) == 5)
    assert {line["file"] for line in lines(out)} == set(names)
    printed = capsys.readouterr().out.splitlines()
    assert sum("(the same picture as " in line for line in printed) == 4
    assert {path.name for path in (out / "pictures").iterdir()} == set(names)
    assert "line\\nbreak.png: defect: kind 3 100%, 150 px" in [line.partition(" (")[0] for line in printed]


async def test_names_of_every_byte(service: Service, folder: Path, out: Path) -> None:
    names = [os.fsdecode(bytes([byte]) + b".png") for byte in range(1, 256) if byte not in b"/"]
    for number, name in enumerate(names):
        (folder / name).write_bytes(STRIPS[number % len(STRIPS)])
    async with watching(folder, out):
        await reached(lambda: len(lines(out)) == len(names))
    assert {line["file"] for line in lines(out)} == set(names)


async def test_a_picture_is_that_of_the_last_version(service: Service, folder: Path, out: Path) -> None:
    (folder / "a.png").write_bytes(STRIPS[0])
    async with watching(folder, out, pictures=True):
        await reached(lambda: len(lines(out)) == 1)
        assert (out / "pictures" / "a.png").is_file()
        (folder / "a.png").write_bytes(png(block_strip()))
        await reached(lambda: len(lines(out)) == 2)
    assert not (out / "pictures" / "a.png").exists()


def test_a_file_is_not_called_a_missing_folder(steel: Steel, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(png(block_strip()))
    done = steel("watch", tmp_path / "strip.png", "--server", "http://127.0.0.1:9", "--out", tmp_path / "out")
    expected = f"error: expected a folder, got '{tmp_path}/strip.png', which is something else\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_missing_folder_is_an_error(steel: Steel, tmp_path: Path) -> None:
    done = steel("watch", tmp_path / "gone", "--server", "http://127.0.0.1:9", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (2, f"error: there is no folder '{tmp_path}/gone'\n")


def test_an_error_of_a_task_is_one_line(
    steel: Steel, tmp_path: Path, tiny_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("steel_cli.journal.Journal.add", full)
    (folder / "0.png").write_bytes(STRIPS[0])
    arguments = ("watch", folder, "--out", tmp_path / "out", "--interval", 0.05)
    done = steel(*arguments, model=tiny_model)
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


@pytest.mark.slow
def test_a_service_is_stopped_and_started_again(tiny_model: Path, folder: Path, out: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "steel_cli",
        "watch",
        str(folder),
        "--server",
        f"http://127.0.0.1:{port}",
    ]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--interval", "0.1", "--settle", "0.3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        (folder / "broken.png").write_bytes(b"no image")
        (folder / "line 2").mkdir()
        (folder / "line 2" / "0.png").write_bytes(STRIPS[0])
        with real_server(tiny_model, port=port):
            until(lambda: len(lines(out)) == 2)
            shutil.copy(folder / "line 2" / "0.png", folder / "new.png")
            until(lambda: len(lines(out)) == 3)
            assert lines(out)[-1]["file"] == "new.png"
        (folder / "new.png").write_bytes(STRIPS[1])
        time.sleep(3)
        with real_server(tiny_model, port=port):
            until(lambda: len(lines(out)) == 4)
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert output.count("new.png: defect: kind 3 100%") == 2
    assert "line 2/0.png: defect: " in output  # with its folder: names of several may be the same
    assert "broken.png: refused: Unsupported media type" in output
    assert "waiting for the service: no answer from http://" in messages
