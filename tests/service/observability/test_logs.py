"""Log lines."""

import json
import logging

import pytest
import structlog

from service.observability.logs import configure_logs


@pytest.mark.usefixtures("logs")
def test_a_log_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("request", filename='a.jpg"}\n{"event": "forged"}')
    logging.getLogger("uvicorn").info("two\nlines")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["request", "two\nlines"]
