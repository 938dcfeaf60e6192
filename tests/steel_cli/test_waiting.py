"""What predict says while the service is away."""

import asyncio
from pathlib import Path

import pytest

from steel_cli.outputs import Outputs
from steel_cli.predict import PredictConfig, _predict
from steel_cli.waiting import WaitingNotice
from steel_client.errors import SteelError
from tests.steel_cli.conftest import Service, Steel
from tests.support.images import png
from tests.support.tiny_model import block_strip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.png").write_bytes(png(block_strip()))
    return folder


def test_a_server_that_is_not_there_is_waited_for_aloud(steel: Steel, folder: Path, tmp_path: Path) -> None:
    run = ("predict", folder, "--server", "http://127.0.0.1:9", "--out", tmp_path / "out", "--timeout", "2")
    said, last = steel(*run).stderr.splitlines()
    assert said.startswith(
        "waiting for the service, at most 2 s (--timeout): no answer from http://127.0.0.1:9"
    )
    assert last.startswith("error: no answer from http://127.0.0.1:9")


@pytest.mark.anyio
async def test_it_is_said_when_the_service_answers_again(
    service: Service, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PredictConfig(folder, tmp_path / "out", server="http://x", timeout=60)
    service.failing["0.png"] = 503
    task = asyncio.create_task(_predict(config, folder, ["0.png"], Outputs(config.out, (), None, print)))
    while service.refused < 3:
        assert not task.done()
        await asyncio.sleep(0.02)
    service.failing.clear()
    await task
    said = [line for line in capsys.readouterr().err.splitlines() if "service" in line]
    assert [line.rpartition("\r")[2].strip() for line in said] == [
        "waiting for the service, at most 60 s (--timeout): Away: for a while",
        "the service answers again",
    ]


def test_a_full_queue_is_not_an_outage() -> None:
    said: list[str] = []
    notice = WaitingNotice(said.append)
    notice.note_retry(SteelError("the queue is full", status=429))
    notice.note_answer()
    assert said == []
