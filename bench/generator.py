"""``python -m bench.generator``: sends strips to a server, checks every answer, prints a report as JSON.

Open loop: arrivals are drawn beforehand and nothing waits for an answer. Latency counts from the moment
at which a request was due, so that a slow server, or a slow generator, cannot hide a queue. Closed loop:
so many connections, back to back.
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
from bench.latency import Latency, latency_of
from bench.protocols import Protocol, protocols
from bench.schedule import poisson_schedule

_REFUSALS = (429, 503, 504)
_MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Load:
    """Send strips to a server; exactly one of ``rate`` and ``connections``."""

    url: str
    """Of the server: http://host:port"""
    jobs: Path
    """Folder that bench.jobs wrote."""
    protocol: str = "service"
    """How to ask; see bench.protocols."""
    rate: float | None = None
    """Open loop: arrivals a second."""
    connections: int | None = None
    """Closed loop: how many."""
    seconds: float = 10.0
    """How long strips are sent, warm-up included."""
    requests: int | None = None
    """Closed loop: stop after so many answers instead."""
    warm_up: float = 1.0
    """Seconds at the start that do not count."""
    deadline_ms: int | None = None
    """Sent as X-Deadline-Ms."""
    timeout: float = 60.0
    """Seconds after which a request has failed."""
    seed: int = 0
    """Of the arrivals."""


@dataclass(frozen=True)
class Report:
    """What a run measured; requests that were due, or answered, in the warm-up count in ``all_*`` only."""

    seconds: float
    """That count: without the warm-up."""
    sent: int
    answered: int
    """Answers that were right."""
    wrong: int
    """Answers that differ from the right one, those of the warm-up included."""
    refused: int
    failed: int
    """Everything else, those of the warm-up included."""
    all_answered: int
    """Right answers, those of the warm-up included."""
    statuses: dict[str, int]
    """Replies by HTTP status, or the kind of failure; those of the warm-up included."""
    throughput: float
    """Right answers a second that came in while it counted."""
    latency: Latency
    """Of right answers."""
    refusal_latency: Latency
    added_latency: Latency
    """Of right answers: time from sending, without what the server says its inference took."""
    lag: Latency
    """How late requests were sent: the generator's own delay."""
    cpu_seconds: float
    """The generator's own, while it counted."""
    problems: list[str]
    """The first few answers that were wrong and requests that failed."""


@dataclass
class _Counts:
    """What is collected while requests run."""

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
    """When answers stop counting for the throughput."""

    def problem(self, text: str) -> None:
        if len(self.problems) < _MAX_EXAMPLES:
            self.problems.append(text)


class Generator:
    """Sends jobs in turn over connections that are kept.

    Args:
        load: the options.
        protocol: how to ask.
        jobs: what to ask.
        connections: to the server.
    """

    def __init__(self, load: Load, protocol: Protocol, jobs: Sequence[Job], connections: Connections) -> None:
        self._load = load
        self._protocol = protocol
        self._connections = connections
        # Compressed replies would cost both sides processor time that nobody asked for.
        headers = {**protocol.headers, "Accept-Encoding": "identity"}
        if load.deadline_ms is not None:
            headers["X-Deadline-Ms"] = str(load.deadline_ms)
        # Encoded once: base64 or multipart must cost the server, not the generator.
        self._requests = [post(load.url, protocol.path, headers, protocol.body(job.jpeg)) for job in jobs]
        self._answers = [job.answer for job in jobs]
        self._next = 0
        self._cpu_at_start = 0.0

    async def run(self) -> Report:
        """Send everything and wait for the last answer."""
        start = time.perf_counter() + 0.05
        counts = _Counts(counted_from=start + self._load.warm_up)
        asyncio.get_running_loop().call_later(0.05 + self._load.warm_up, self._note_cpu)
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
            latency=latency_of(counts.latencies),
            refusal_latency=latency_of(counts.refusal_latencies),
            added_latency=latency_of(counts.added),
            lag=latency_of(counts.lags),
            cpu_seconds=time.process_time() - self._cpu_at_start,
            problems=counts.problems,
        )

    def _note_cpu(self) -> None:
        self._cpu_at_start = time.process_time()

    async def _open_loop(self, rate: float, start: float, counts: _Counts) -> None:
        counts.ends = start + self._load.seconds
        running: set[asyncio.Task[None]] = set()
        for due in poisson_schedule(rate, self._load.seconds, self._load.seed):
            wait = start + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._ask(start + due, counts))
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
                await self._ask(now, counts)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(connection())

    async def _ask(self, due: float, counts: _Counts) -> None:
        index = self._next % len(self._requests)
        self._next += 1
        counted = due >= counts.counted_from
        sent = time.perf_counter()
        if counted:
            counts.sent += 1
            counts.lags.append(sent - due)
        try:
            status, body = await self._connections.ask(self._requests[index])
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
            counts.problem(f"an answer of another shape ({error!r}): {body[:200]!r}")
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


def _difference(found: Sequence[object], wanted: Sequence[object]) -> str:
    """Say how an answer differs, briefly: a code has thousands of numbers."""
    for index, (left, right) in enumerate(zip(found, wanted, strict=False)):
        if left != right:
            return f"class {index + 1} is {str(left)[:80]} where {str(right)[:80]} is right"
    return f"{len(found)} classes where {len(wanted)} are right"


async def generate(load: Load) -> Report:
    """Run one load.

    Raises:
        ValueError: if both or neither of ``rate`` and ``connections`` are given.
    """
    if (load.rate is None) == (load.connections is None):
        raise ValueError("exactly one of --rate and --connections is wanted")
    protocol = protocols()[load.protocol]
    async with Connections(load.url, load.timeout) as connections:
        return await Generator(load, protocol, read_jobs(load.jobs), connections).run()


def main() -> None:
    """Run the load that the command line describes."""
    load = tyro.cli(Load, description=__doc__)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # an open loop opens what it needs
    # Nothing here is cyclic, and a collection in the middle would look like latency.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(generate(load))
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()
