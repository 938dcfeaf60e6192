"""Log lines."""

import json
import logging
import os
import subprocess
import sys

import pytest
import structlog

from service.observability.logs import configure_logs
from tests.support.serving import ROOT


@pytest.mark.usefixtures("logs")
def test_a_log_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("request", filename='a.jpg"}\n{"event": "forged"}')
    logging.getLogger("uvicorn").info("two\nlines")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["request", "two\nlines"]


def test_an_unread_pipe_loses_lines_and_says_so_later() -> None:
    code = (
        "import structlog\n"
        "from service.observability.logs import configure_logs\n"
        "configure_logs('info')\n"
        "log = structlog.get_logger()\n"
        "for number in range(5000): log.info('x' * 100, number=number)\n"
        "print('done', file=__import__('sys').stderr, flush=True)\n"
        "input()\n"
        "log.info('last')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=-1, stdout=-1, stderr=-1)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stderr.readline() == b"done\n"  # it does not wait for a reader
    early = os.read(process.stdout.fileno(), 2**20)  # all that the pipe holds
    output, _ = process.communicate(b"\n", timeout=60)
    *read, lost, last = [json.loads(line) for line in (early + output).splitlines()]
    assert [line["number"] for line in read] == list(range(len(read)))
    assert lost["event"].startswith("log lines were lost")
    assert len(read) + lost["count"] == 5000
    assert last["event"] == "last"
