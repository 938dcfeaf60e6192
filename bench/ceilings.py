"""Ceilings: the throughput of this machine with the model, without HTTP, every core busy."""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from bench.jobs import read_jobs
from bench.pipeline import Pipeline
from service.geometry import Strip
from service.images.decode import decode
from service.model.cpu_quota import cpu_quota
from service.model.session import OrtSession

Work = Literal["session", "pipeline"]
"""The session alone, or the pipeline of decoding, session, thresholds and run-length codes."""
Setting = Literal["one session, all threads", "one session, a caller per core", "a process per core"]

WORKS: tuple[Work, ...] = ("session", "pipeline")
SETTINGS: tuple[Setting, ...] = (
    "one session, all threads",
    "one session, a caller per core",
    "a process per core",
)


@dataclass(frozen=True)
class Ceilings:
    """Strips per second without HTTP, medians over rounds."""

    session: dict[Setting, float]
    pipeline: dict[Setting, float]
    rounds: int

    @property
    def best_session(self) -> float:
        """Return the throughput of the best setting."""
        return max(self.session.values())

    @property
    def best_pipeline(self) -> float:
        """Return the throughput of the best setting."""
        return max(self.pipeline.values())

    @property
    def best_setting(self) -> Setting:
        """Return the setting with the highest throughput of the pipeline."""
        return max(self.pipeline, key=lambda setting: self.pipeline[setting])


class Ceiling:
    """Loaded sessions of every setting, so that rounds can be short; see ``open_ceiling``."""

    def __init__(self, single: "_Loop", shared: "_Loop", processes: "_Processes") -> None:
        self._single = single
        self._shared = shared
        self._processes = processes

    def throughput(self, work: Work, setting: Setting, seconds: float) -> float:
        """Run a tight loop; return strips per second."""
        if setting == "one session, all threads":
            return _in_threads(self._single, work, 1, seconds)
        if setting == "one session, a caller per core":
            return _in_threads(self._shared, work, cpu_quota(), seconds)
        return self._processes.throughput(work, seconds)


@contextmanager
def open_ceiling(model: Path, jobs: Path) -> Iterator[Ceiling]:
    """Load the model once per setting, and start one process per core."""
    with ExitStack() as stack:
        processes = stack.enter_context(_started_processes(model, jobs, cpu_quota()))
        yield Ceiling(_Loop(model, jobs, cpu_quota()), _Loop(model, jobs, 1), processes)


def measure_ceilings(ceiling: Ceiling, rounds: int, seconds: float) -> Ceilings:
    """Measure every setting in turn, ``rounds`` times, so that a disturbance affects all of them."""
    found: dict[tuple[Work, Setting], list[float]] = {pair: [] for pair in itertools.product(WORKS, SETTINGS)}
    for _ in range(rounds):
        for (work, setting), values in found.items():
            values.append(ceiling.throughput(work, setting, seconds))
    medians = {pair: statistics.median(values) for pair, values in found.items()}
    return Ceilings(
        session={setting: medians["session", setting] for setting in SETTINGS},
        pipeline={setting: medians["pipeline", setting] for setting in SETTINGS},
        rounds=rounds,
    )


class _Loop:
    """One warmed-up session with its inputs."""

    def __init__(self, model: Path, jobs: Path, threads: int) -> None:
        session = OrtSession(model, device="cpu", threads=threads)
        session.warm_up()
        pipeline = Pipeline(session)
        files = [job.jpeg for job in read_jobs(jobs)]
        tile = session.metadata.height * session.metadata.width
        strips: list[Strip] = [decode(data, max_pixels=tile) for data in files]
        self._work: dict[Work, tuple[Callable[[Any], object], Sequence[Any]]] = {
            "session": (lambda strip: session.infer([strip]), strips),
            "pipeline": (pipeline.predict, files),
        }
        for function, inputs in self._work.values():
            function(inputs[0])

    def count(self, work: Work, offset: int, until: float) -> int:
        """Process inputs from ``offset`` on until the time ``until``; return their number."""
        function, inputs = self._work[work]
        done = 0
        while time.perf_counter() < until:
            function(inputs[(offset + done) % len(inputs)])
            done += 1
        return done


def _in_threads(loop: _Loop, work: Work, callers: int, seconds: float) -> float:
    """Return strips per second of ``callers`` threads, by the real end of the last strip."""
    with ThreadPoolExecutor(callers) as threads:
        started = time.perf_counter()
        counts = [threads.submit(loop.count, work, 7 * n, started + seconds) for n in range(callers)]
        done = sum(count.result() for count in counts)
        return done / (time.perf_counter() - started)


class _Processes:
    """One process per core, each with a session of one thread; commands go over pipes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def throughput(self, work: Work, seconds: float) -> float:
        for number, pipe in enumerate(self._pipes):
            pipe.send((work, 7 * number, seconds))
        return float(sum(pipe.recv() for pipe in self._pipes))


@contextmanager
def _started_processes(model: Path, jobs: Path, workers: int) -> Iterator[_Processes]:
    context = multiprocessing.get_context("spawn")
    pipes = []
    started = []
    for _ in range(workers):
        here, there = context.Pipe()
        process = context.Process(target=_serve_pipe, args=(there, model, jobs), daemon=True)
        process.start()
        there.close()  # so that the pipe ends when the process dies, and recv does not hang
        pipes.append(here)
        started.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        yield _Processes(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in started:
            process.join()


def _serve_pipe(pipe: Connection, model: Path, jobs: Path) -> None:
    """Load, report ready, then answer every task with strips per second until the pipe closes."""
    loop = _Loop(model, jobs, 1)
    pipe.send(0.0)
    while True:
        try:
            work, offset, seconds = pipe.recv()
        except EOFError:
            return
        started = time.perf_counter()
        done = loop.count(work, offset, started + seconds)
        pipe.send(done / (time.perf_counter() - started))
