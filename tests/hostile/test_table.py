"""Every row of the table against a real server; afterwards it is as it was before."""

import json
import socket
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.hostile.bad_images import STRIP, image_rows
from tests.hostile.bad_requests import request_rows
from tests.hostile.rows import Row
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_rle

ROWS = [*image_rows(), *request_rows()]
PROMPT_ROWS = [row for row in ROWS if row.status != 408 and not row.answered_late]
_PATIENCE = 5
"""Seconds that the server gives a head or body: a busy machine may stall for more than one."""
_WAIT = 30


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Nobody reads its log here: lines for every request would fill the pipe and stop it.
    port = free_port()
    with real_server(
        tiny_model, port=port, head_timeout_s=_PATIENCE, body_timeout_s=_PATIENCE, log_level="error"
    ) as server:
        yield server


def sent(server: Server, row: Row) -> bytes:
    """Send a row and read until the server hangs up, or has answered."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=_WAIT) as connection:
        received = b""
        try:
            connection.sendall(row.request)
            if row.half_closed:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
                if _complete(received):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up while we were sending: what it said before counts
        return received


def _complete(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths and len(body) >= int(lengths[0].split(b":")[1]))


def failure(server: Server, row: Row) -> str | None:
    """Say what is wrong with the answer to a row."""
    received = sent(server, row)
    head, _, body = received.partition(b"\r\n\r\n")
    if row.status is None:
        return None if not received else f"an answer: {received[:200]!r}"
    status = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else None
    if status != row.status:
        return f"status {status}, wanted {row.status}: {received[:400]!r}"
    if status == 200:
        return None
    problem = json.loads(body)
    if b"application/problem+json" not in head or problem["status"] != status:
        return f"no problem: {received[:400]!r}"
    return None if row.detail in problem["detail"] else f"detail {problem['detail']!r}, wanted {row.detail!r}"


def good_answer(server: Server) -> object:
    answer = httpx.post(f"{server.url}/predict", content=STRIP, timeout=_WAIT).json()
    return [answer["images"], answer["model"], answer["profile"]]


def test_the_table_has_names_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60


def test_each_row_gets_its_answer_and_leaves_nothing_behind(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    before = good_answer(server)

    def wrong_answers(rows: list[Row]) -> dict[str, str]:
        with ThreadPoolExecutor(16) as threads:
            found = zip(rows, threads.map(lambda row: failure(server, row), rows), strict=True)
            return {row.name: wrong for row, wrong in found if wrong is not None}

    def memory_after(tables: int) -> float:
        """Resident bytes, the median over the last tables: freed memory goes back in lumps."""
        resident = []
        for number in range(tables):
            assert wrong_answers(PROMPT_ROWS if number % 8 else ROWS) == {}
            resident.append(process.memory_info().rss)
        return statistics.median(resident[-10:])

    # Measured over 110 tables, 30,000 rows: 193 MB after ten, 217 after 60, 233 after 110. Not explained yet;
    # a row that kept its body would need 100 times as much.
    warm = memory_after(20)
    assert memory_after(20) <= 1.2 * warm
    assert good_answer(server) == before
    assert block_rle(100, 20, 5, 30) in str(before)
    assert process.num_threads() < 40
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
