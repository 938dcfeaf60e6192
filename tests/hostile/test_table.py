"""Every row of the table against a real server; afterwards it is as it was before."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.hostile.bad_images import STRIP, image_rows
from tests.hostile.bad_requests import request_rows
from tests.hostile.exchange import failure
from tests.hostile.rows import Row
from tests.support.serving import Server, free_port, real_server
from tests.support.tiny_model import block_rle

ROWS = [*image_rows(), *request_rows()]
PROMPT_ROWS = [row for row in ROWS if row.status != 408 and not row.answered_late]
_PATIENCE = 5
"""Seconds that the server gives a head or body: a busy machine may stall for more than one."""


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Nobody reads its log here: lines for every request would fill the pipe and stop it.
    port = free_port()
    with real_server(
        tiny_model, port=port, head_timeout_s=_PATIENCE, body_timeout_s=_PATIENCE, log_level="error"
    ) as server:
        yield server


def good_answer(server: Server) -> object:
    answer = httpx.post(f"{server.url}/predict", content=STRIP, timeout=30).json()
    return [answer["images"], answer["model"], answer["profile"]]


def test_the_table_has_names_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60


def test_each_row_gets_its_answer_and_leaves_nothing_behind(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    before = good_answer(server)

    def wrong_answers(rows: list[Row]) -> dict[str, str]:
        with ThreadPoolExecutor(16) as threads:
            found = zip(rows, threads.map(lambda row: failure(server.url, row), rows), strict=True)
            return {row.name: wrong for row, wrong in found if wrong is not None}

    def memory_after(tables: int) -> float:
        """Resident bytes, the median over the last tables."""
        resident = []
        for number in range(tables):
            assert wrong_answers(PROMPT_ROWS if number % 8 else ROWS) == {}
            time.sleep(0.1)  # an answer is sent while its request, 30 MB of one row, is still held
            resident.append(process.memory_info().rss)
        return statistics.median(resident[-10:])

    # Measured over 110 tables, 30,000 rows: medians of ten from 179 to 182 MB. Errors that keep some 20 kB of
    # their request are too small for this bound; test_memory.py finds them.
    warm = memory_after(20)
    assert memory_after(20) <= 1.08 * warm
    assert good_answer(server) == before
    assert block_rle(100, 20, 5, 30) in str(before)
    assert process.num_threads() < 40
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
