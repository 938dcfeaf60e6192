"""``python -m bench.generator``: send strips to a server, check every answer, print a report as JSON.

Open loop: arrival times are drawn in advance and no request waits for an answer. Latency counts from the time
at which a request was due, so that a slow server or generator cannot hide a queue. Closed loop: a number of
connections, each of which sends its next request when the answer has come.
"""

import asyncio
import gc
import json
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tyro
import uvloop

from bench.connections import Connections, post
from bench.jobs import Job, read_jobs
from bench.latency import Latency, summarize_latencies
from bench.protocols import Protocol, protocols
from bench.schedule import poisson_schedule

_REFUSALS = (429, 503, 504)
_MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Load:
    """Send strips to a server; exactly one of ``rate`` and ``connections``."""

    url: str
    """URL of the server: http://host:port."""
    jobs: Path
    """Folder written by bench.jobs."""
    protocol: str = "service"
    """Key of bench.protocols."""
    rate: float | None = None
    """Open loop: arrivals per second."""
    connections: int | None = None
    """Closed loop: number of connections."""
    seconds: float = 10.0
    """Duration, warm-up included."""
    requests: int | None = None
    """Closed loop: stop after this number of answers instead."""
    warm_up: float = 1.0
    """Seconds at the start that are not counted."""
    deadline_ms: int | None = None
    """Value of X-Deadline-Ms."""
    timeout: float = 60.0
    """Seconds after which a request fails."""
    seed: int = 0
    """Seed of the arrivals."""


@dataclass(frozen=True)
class Report:
    """Results of a run; requests due or answered in the warm-up count only in ``all_*``."""

    seconds: float
    """Counted seconds, without the warm-up."""
    sent: int
    answered: int
    """Correct answers."""
    wrong: int
    """Answers that differ from the expected one, warm-up included."""
    refused: int
    failed: int
    """All other outcomes, warm-up included."""
    all_answered: int
    """Correct answers, warm-up included."""
    statuses: dict[str, int]
    """Replies by HTTP status or kind of failure, warm-up included."""
    throughput: float
    """Correct answers per second in the counted time."""
    latency: Latency
    """Latency of correct answers."""
    refusal_latency: Latency
    added_latency: Latency
    """Latency of correct answers from sending, minus the inference time that the server reports."""
    lag: Latency
    """Delay of sending: the generator's own."""
    cpu_seconds: float
    """CPU time of the generator in the counted time."""
    problems: list[str]
    """The first few wrong answers and failed requests."""


@dataclass
class _Counts:
    """Counts of a run in progress."""

    counted_from: float
    sent: int = 0
    answered: int = 0
    wrong: int = 0
    refused: int = 0
    failed: int = 0
    all_answered: int = 0
    in_time: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refusal_latencies: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ends: float = float("inf")
    """Time at which answers stop counting for the throughput."""

    def problem(self, text: str) -> None:
        if len(self.problems) < _MAX_EXAMPLES:
            self.problems.append(text)


class Generator:
    """Sender of jobs, in turn, over persistent connections.

    Args:
        load: options of the load.
        protocol: protocol of requests and replies.
        jobs: the jobs to send.
        connections: connections to the server.
    """

    def __init__(self, load: Load, protocol: Protocol, jobs: Sequence[Job], connections: Connections) -> None:
        self._load = load
        self._protocol = protocol
        self._connections = connections
        # Compressed replies would cost both sides CPU time.
        headers = {**protocol.headers, "Accept-Encoding": "identity"}
        if load.deadline_ms is not None:
            headers["X-Deadline-Ms"] = str(load.deadline_ms)
        # Encoded in advance, so that base64 or multipart costs the generator nothing during the run.
        self._requests = [post(load.url, protocol.path, headers, protocol.body(job.jpeg)) for job in jobs]
        self._answers = [job.answer for job in jobs]
        self._next = 0
        self._cpu_at_start = 0.0

    async def run(self) -> Report:
        """Send all requests and wait for the last answer."""
        start = time.perf_counter() + 0.05
        counts = _Counts(counted_from=start + self._load.warm_up)
        asyncio.get_running_loop().call_later(0.05 + self._load.warm_up, self._record_cpu_start)
        if self._load.rate is not None:
            await self._open_loop(self._load.rate, start, counts)
        else:
            await self._closed_loop(self._load.connections or 1, start, counts)
        end = min(time.perf_counter(), counts.ends)
        seconds = max(end - counts.counted_from, 1e-9)
        return Report(
            seconds=seconds,
            sent=counts.sent,
            answered=counts.answered,
            wrong=counts.wrong,
            refused=counts.refused,
            failed=counts.failed,
            all_answered=counts.all_answered,
            statuses=dict(counts.statuses),
            throughput=counts.in_time / seconds,
            latency=summarize_latencies(counts.latencies),
            refusal_latency=summarize_latencies(counts.refusal_latencies),
            added_latency=summarize_latencies(counts.added),
            lag=summarize_latencies(counts.lags),
            cpu_seconds=time.process_time() - self._cpu_at_start,
            problems=counts.problems,
        )

    def _record_cpu_start(self) -> None:
        self._cpu_at_start = time.process_time()

    async def _open_loop(self, rate: float, start: float, counts: _Counts) -> None:
        counts.ends = start + self._load.seconds
        running: set[asyncio.Task[None]] = set()
        for due in poisson_schedule(rate, self._load.seconds, self._load.seed):
            wait = start + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._send_job(start + due, counts))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)

    async def _closed_loop(self, connections: int, start: float, counts: _Counts) -> None:
        counts.ends = float("inf") if self._load.requests else start + self._load.seconds
        await asyncio.sleep(max(0.0, start - time.perf_counter()))

        async def connection() -> None:
            while (now := time.perf_counter()) < counts.ends:
                if self._load.requests is not None and self._next >= self._load.requests:
                    return
                await self._send_job(now, counts)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(connection())

    async def _send_job(self, due: float, counts: _Counts) -> None:
        index = self._next % len(self._requests)
        self._next += 1
        counted = due >= counts.counted_from
        sent = time.perf_counter()
        if counted:
            counts.sent += 1
            counts.lags.append(sent - due)
        try:
            status, body = await self._connections.send(self._requests[index])
        except (TimeoutError, OSError) as error:
            counts.failed += 1
            counts.statuses[type(error).__name__] += 1
            counts.problem(repr(error))
            return
        done = time.perf_counter()
        counts.statuses[str(status)] += 1
        if status in _REFUSALS:
            counts.refused += counted
            if counted:
                counts.refusal_latencies.append(done - due)
            return
        if status != 200:
            counts.failed += 1
            counts.problem(f"status {status}: {body[:200]!r}")
            return
        try:
            reply = self._protocol.read(body)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            counts.wrong += 1
            counts.problem(f"an answer with an unexpected structure ({error!r}): {body[:200]!r}")
            return
        if reply.classes != self._answers[index]:
            counts.wrong += 1
            counts.problem(f"job {index}: {_difference(reply.classes, self._answers[index])}")
            return
        counts.all_answered += 1
        if counts.counted_from <= done <= counts.ends:
            counts.in_time += 1
        if counted:
            counts.answered += 1
            counts.latencies.append(done - due)
            if reply.inference_ms is not None:
                counts.added.append(done - sent - reply.inference_ms / 1000)


def _difference(found: Sequence[object], expected: Sequence[object]) -> str:
    """Describe how an answer differs, shortened: a run-length code has thousands of numbers."""
    for index, (left, right) in enumerate(zip(found, expected, strict=False)):
        if left != right:
            return f"class {index + 1}: expected {str(right)[:80]}, got {str(left)[:80]}"
    return f"expected {len(expected)} classes, got {len(found)}"


async def generate(load: Load) -> Report:
    """Run one load.

    Raises:
        ValueError: if both or neither of ``rate`` and ``connections`` are given.
    """
    if (load.rate is None) == (load.connections is None):
        raise ValueError("expected exactly one of --rate and --connections")
    protocol = protocols()[load.protocol]
    async with Connections(load.url, load.timeout) as connections:
        return await Generator(load, protocol, read_jobs(load.jobs), connections).run()


def main() -> None:
    """Run the load of the command line and print its report."""
    load = tyro.cli(Load, description=__doc__)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # an open loop may need many connections
    # There are no reference cycles here, and a collection during the run would look like latency.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(generate(load))
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()
