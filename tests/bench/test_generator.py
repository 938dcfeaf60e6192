"""The load generator, in this process."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from aiohttp import web

from bench.generator import Load, Report, generate
from bench.jobs import Job, write_jobs
from tests.support.bench_answers import CLASSES, SEEN

pytestmark = [pytest.mark.slow, pytest.mark.alone]


class OneAtATime:
    """A server that takes ``seconds`` for each strip and answers all the same."""

    def __init__(self, seconds: float, refuse_over: int = 1000) -> None:
        self._seconds = seconds
        self._refuse_over = refuse_over
        self._waiting = 0
        self._lock = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        if self._waiting >= self._refuse_over:
            return web.Response(status=429)
        self._waiting += 1
        async with self._lock:
            await asyncio.sleep(self._seconds)
        self._waiting -= 1
        return web.json_response(CLASSES)


async def generated(server: OneAtATime, load: Load) -> Report:
    """Run the generator against a server in this process."""
    app = web.Application()
    app.router.add_post("/predict", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        return await generate(dataclasses.replace(load, url=f"http://{host}:{port}"))
    finally:
        await runner.cleanup()


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """One strip, without warm-up, at a port where nobody listens."""
    write_jobs([Job(b"a strip", SEEN, 1)], tmp_path)
    return Load(url="http://127.0.0.1:9", jobs=tmp_path, protocol="raw", warm_up=0)


@pytest.mark.anyio
async def test_an_open_loop_shows_the_queue_that_a_closed_one_hides(load: Load) -> None:
    """Twice as many arrivals as the server can answer: the last ones wait for half of the run."""
    opened = await generated(OneAtATime(0.02), dataclasses.replace(load, rate=100.0, seconds=1.0))
    closed = await generated(OneAtATime(0.02), dataclasses.replace(load, connections=1, seconds=0.5))
    assert opened.answered == opened.sent == opened.latency.count
    assert opened.latency.max is not None
    assert closed.latency.p50 is not None
    assert opened.latency.max > 500
    assert closed.latency.p50 < 200
    assert opened.throughput < 51


@pytest.mark.anyio
async def test_refusals_are_no_answers(load: Load) -> None:
    report = await generated(
        OneAtATime(0.05, refuse_over=2), dataclasses.replace(load, rate=100.0, seconds=1.0)
    )
    assert report.refused > report.answered > 0
    assert report.statuses == {"200": report.answered, "429": report.refused}
    assert report.refusal_latency.count == report.refused
    assert report.latency.count == report.answered
    assert report.wrong == report.failed == 0


@pytest.mark.anyio
async def test_the_warm_up_does_not_count(load: Load) -> None:
    report = await generated(
        OneAtATime(0.01), dataclasses.replace(load, connections=1, seconds=1.0, warm_up=0.5)
    )
    assert 0 < report.answered < report.all_answered
    assert report.seconds == pytest.approx(0.5, abs=0.1)


@pytest.mark.anyio
async def test_a_server_that_is_gone_fails_every_request(load: Load) -> None:
    report = await generate(dataclasses.replace(load, rate=50.0, seconds=0.2))
    assert report.failed == report.sent > 0
    assert report.problems
