"""The benchmark's honest parts: when requests are due, what counts, what is noticed."""

import asyncio
import base64
import dataclasses
import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from aiohttp import web

from bench.check import Check
from bench.drive import drive, read_report
from bench.generator import Load, Report, generate
from bench.jobs import Job, read_jobs, write_jobs
from bench.latency import latency_of
from bench.our_service import between, running_service, scrape
from bench.protocols import protocols
from bench.schedule import poisson_schedule
from bench.table import check_table
from bench.tiny import tiny_files
from bench.workload import answer_jobs
from service.model.session import OrtSession

SEEN = ((True, "1 5 300 2"), (False, ""), (False, ""), (False, ""))
CLASSES = {"classes": [{"class_id": k + 1, "present": p, "rle": r} for k, (p, r) in enumerate(SEEN)]}


def test_the_same_seed_draws_the_same_arrivals() -> None:
    assert poisson_schedule(50, 10, seed=3) == poisson_schedule(50, 10, seed=3)
    assert poisson_schedule(50, 10, seed=3) != poisson_schedule(50, 10, seed=4)


def test_arrivals_are_those_of_a_poisson_process() -> None:
    times = poisson_schedule(200, 100, seed=0)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 100
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    # Exponential gaps: as much spread as mean. An even pace would have none, and no queues.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_percentiles_are_latencies_that_were_measured() -> None:
    found = latency_of([number / 1000 for number in range(1, 101)])
    assert (found.count, found.p50, found.p95, found.p99, found.max) == pytest.approx((100, 50, 95, 99, 100))
    assert latency_of([0.007, 0.001]).p99 == pytest.approx(7)
    assert latency_of([]).p50 is None


def test_every_protocol_carries_the_image_and_reads_the_answer() -> None:
    service = {"images": [CLASSES], "timing_ms": {"inference": 3.5}}
    v2 = {"outputs": [{"data": [json.dumps(CLASSES)]}]}
    replies = {
        "service": service,
        "service-multipart": service,
        "raw": CLASSES,
        "multipart": CLASSES,
        "mlserver": v2,
    }
    assert set(replies) == set(protocols())
    for name, protocol in protocols().items():
        assert protocol.read(orjson.dumps(replies[name])).classes == SEEN, name
        body = protocol.body(b"a strip")
        assert b"a strip" in body or base64.b64encode(b"a strip") in body, name


def test_jobs_survive_their_files(tmp_path: Path) -> None:
    jobs = [Job(b"one", SEEN, 2), Job(b"two", SEEN[::-1], 0)]
    write_jobs(jobs, tmp_path)
    assert read_jobs(tmp_path) == jobs


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


def test_the_generator_as_a_process_checks_the_service(tmp_path: Path, tiny_model: Path) -> None:
    jobs = answer_jobs(tiny_files(4), OrtSession(tiny_model, device="cpu", threads=1))
    write_jobs(jobs, tmp_path / "right")
    present, code = jobs[1].answer[0]
    first, rest = code.split(" ", 1)
    moved = ((present, f"{int(first) + 1} {rest}"), *jobs[1].answer[1:])
    write_jobs([jobs[0], dataclasses.replace(jobs[1], answer=moved)], tmp_path / "moved")

    with running_service(tiny_model, tmp_path, jobs[1]) as server:
        before = scrape(server)
        right = drive(server, tmp_path / "right", connections=2, seconds=1.0, warm_up=0.2)
        inside = between(before, scrape(server))
        assert right.report.answered > 0
        assert right.report.wrong == right.report.failed == right.report.refused == 0
        assert right.report.added_latency.count == right.report.answered
        assert right.server_cpu_ms is not None
        assert right.server_cpu_ms > 0
        assert right.rss_mb > 20
        assert sum(inside.batch_sizes.values()) > 0

        wrong = drive(server, tmp_path / "moved", connections=1, requests=4, warm_up=0)
        assert wrong.report.wrong == 2
        assert wrong.report.all_answered == 2
        assert "class 1" in wrong.report.problems[0]


def test_a_report_survives_its_json() -> None:
    latency = latency_of([0.1])
    none = latency_of([])
    report = Report(1.0, 1, 1, 0, 0, 0, 1, {"200": 1}, 1.0, latency, none, latency, latency, 0.1, [])
    assert read_report(json.loads(json.dumps(dataclasses.asdict(report)))) == report


def test_the_table_marks_missed_targets() -> None:
    lines = check_table(
        [
            Check("fast", "<=", 4, 3.9, "ms"),
            Check("slow", "<=", 4, 4.1, "ms"),
            Check("unknown", ">=", 15, None, "x", "not there"),
            Check("none wrong", "==", 0, 0),
        ]
    ).splitlines()[2:]
    assert ["MISSED" in line for line in lines] == [False, True, False, False]
    assert [" met" in line for line in lines] == [True, False, False, True]
    assert "not measured" in lines[2]
    assert "not there" in lines[2]
