"""Dynamic batching: many callers, few inference threads.

One queue, one task, no polling; one thread on a GPU, one per processor on a CPU. The rules:

* An idle thread never waits: the first input runs at once.
* After a busy spell a batch closes when it is full, or when its oldest input has waited
  ``batch_timeout`` seconds since it arrived.
* A full queue refuses at once.
* A caller that has gone is dropped before the model runs and cannot hurt its batch-mates; so is one
  whose deadline is nearer than the fastest run seen. A batch that waits for a thread counts as waiting.
* An exception, or a wrong number of outputs, reaches every caller of that batch; the loop goes on.
* An output that is a ServiceError is raised to its own caller.
* A run that does not end, a device that is gone, or an end of the loop itself is a failure that is
  reported once: the process has to be replaced.
* Closing finishes what was accepted, then refuses.
"""

import asyncio
import functools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

from service.errors import (
    DeadlineExceededError,
    DeviceLostError,
    InferenceError,
    QueueFullError,
    ServiceError,
    UnavailableError,
)

X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(eq=False, slots=True)
class _Item(Generic[X, Y]):
    input: X
    future: asyncio.Future[Y]
    arrived: float
    """Event-loop time; some loops count whole milliseconds only."""
    expires: float | None
    """The deadline on the clock of ``time.perf_counter``, which threads can read, too."""


@dataclass(eq=False, slots=True)
class _Run(Generic[X, Y]):
    """A batch that was handed to the threads."""

    batch: list[_Item[X, Y]]
    began: float | None = None
    """When a thread took it, on the clock of ``time.perf_counter``."""
    wanted: list[_Item[X, Y]] = field(default_factory=list)
    """Those of the batch whose callers were there, and had time left, when it began."""
    seconds: float = 0.0
    watchdog: asyncio.TimerHandle | None = None


class Batcher(Generic[X, Y]):
    """Groups inputs of concurrent callers into batches; used as an async context manager.

    Args:
        run: maps a batch to as many outputs, in order; blocking.
        threads: where it runs; of ``max_parallel_runs`` threads.
        max_parallel_runs: batches that run at the same time at most.
        max_waiting_runs: batches that wait there for a thread: one that has ended its batch has the next at
            hand, without the event loop. They grow no more, so this is for batches of one.
        max_batch_size: inputs in one batch at most.
        batch_timeout: seconds; see the rules above.
        max_queue_size: inputs that may wait, those in batches that run not counted.
        max_run_seconds: a run that lasts longer hangs.
        on_batch: told the size of every batch that ran.
        on_failure: told why no more answers can be had from here.
    """

    def __init__(
        self,
        run: Callable[[Sequence[X]], Sequence[Y | ServiceError]],
        threads: Executor,
        *,
        max_parallel_runs: int = 1,
        max_waiting_runs: int = 0,
        max_batch_size: int,
        batch_timeout: float,
        max_queue_size: int,
        max_run_seconds: float = 60.0,
        on_batch: Callable[[int], None] = lambda _size: None,
        on_failure: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._run = run
        self._max_batch_size = max_batch_size
        self._batch_timeout = batch_timeout
        self.max_queue_size = max_queue_size
        self._max_run_seconds = max_run_seconds
        self._on_batch = on_batch
        self._on_failure = on_failure
        self._queue: deque[_Item[X, Y]] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._threads = threads
        self._max_parallel_runs = max_parallel_runs
        self._max_started_runs = max_parallel_runs + max_waiting_runs
        self._free = asyncio.Semaphore(self._max_started_runs)
        self._runs: list[_Run[X, Y]] = []
        """In the order in which threads take them."""
        self._batch_seconds = 0.0
        self._fastest_seconds = 0.0

    def start(self) -> None:
        """Begin to answer; ``close`` ends it, as the end of ``async with`` does."""
        self._task = asyncio.create_task(self._serve(), name="batcher")

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def alive(self) -> bool:
        """Whether inputs are taken and answered."""
        return self._task is not None and not self._task.done() and not self._closing

    @property
    def queue_size(self) -> int:
        """Inputs that wait, those that wait for a thread included."""
        at_hand = self._runs[self._max_parallel_runs :]
        return len(self._queue) + sum(len(run.batch) for run in at_hand)

    @property
    def full(self) -> bool:
        """Whether the next input would be refused."""
        return self.queue_size >= self.max_queue_size

    def expected_seconds(self, inputs: int) -> float:
        """Estimate how long so many inputs take, from recent batches; 0 before the first."""
        batches = math.ceil(inputs / self._max_batch_size)
        return batches * self._batch_seconds / self._max_parallel_runs

    def full_error(self) -> QueueFullError:
        """Build the refusal for a full queue, with the seconds until there should be room."""
        return QueueFullError(
            f"{self.max_queue_size} strips are waiting already", self.retry_after(self.max_queue_size)
        )

    def retry_after(self, inputs: int) -> int:
        """Return whole seconds, at least one, after which so many inputs should be answered."""
        return max(1, math.ceil(self.expected_seconds(inputs)))

    def put(self, x: X, deadline: float | None = None) -> asyncio.Future[Y]:
        """Queue an input; what comes back holds its output, and cancelling that takes it off the queue.

        Args:
            x: the input.
            deadline: event-loop time after which nobody wants the output.

        Raises:
            QueueFullError: at once, if the queue is full.
            UnavailableError: at once, if the batcher is closing or has died.
            DeadlineExceededError: later, if the deadline cannot be met any more when the model is free.
            InferenceError: later, if the model failed.
        """
        if not self.alive:
            raise UnavailableError("the service takes no more strips", self.retry_after(1))
        if self.full:
            raise self.full_error()
        loop = asyncio.get_running_loop()
        expires = None if deadline is None else time.perf_counter() + deadline - loop.time()
        item: _Item[X, Y] = _Item(x, loop.create_future(), loop.time(), expires)
        item.future.add_done_callback(lambda future: self._forget(item) if future.cancelled() else None)
        self._queue.append(item)
        self._changed.set()
        return item.future

    def _forget(self, item: _Item[X, Y]) -> None:
        if item in self._queue:
            self._queue.remove(item)

    async def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._closing = True
        self._changed.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def abandon(self) -> None:
        """Stop at once: what waits is refused, nothing new is handed to the threads."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        try:
            while await self._next_input():
                busy = self._free.locked()
                await self._free.acquire()
                if busy:
                    await self._fill()
                batch = self._take()
                if batch:
                    self._start(batch)
                else:
                    self._free.release()
            for _ in range(self._max_started_runs):
                await self._free.acquire()  # given back by each run that ends
        finally:
            # Reached with a queue only if this task was cancelled: nobody may be left waiting.
            for item in self._queue:
                _settle(item, _stopped())
            self._queue.clear()
            if not self._closing:
                self._on_failure("the batcher has stopped")

    async def _next_input(self) -> bool:
        """Wait for an input; False when there will be none."""
        while not self._queue:
            if self._closing:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    async def _fill(self) -> None:
        """After a run, let a batch grow until it is full or its oldest input has waited enough."""
        loop = asyncio.get_running_loop()
        while self._queue and len(self._queue) < self._max_batch_size and not self._closing:
            closes = self._queue[0].arrived + self._batch_timeout
            if loop.time() >= closes:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout_at(closes):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _take(self) -> list[_Item[X, Y]]:
        """Take a batch off the queue without those who have gone or would come too late."""
        batch: list[_Item[X, Y]] = []
        while self._queue and len(batch) < self._max_batch_size:
            item = self._queue.popleft()
            if self._is_late(item):
                _settle(item, _too_late())
            elif not item.future.done():
                batch.append(item)
        return batch

    def _is_late(self, item: _Item[X, Y]) -> bool:
        return item.expires is not None and time.perf_counter() + self._fastest_seconds > item.expires

    def _start(self, batch: list[_Item[X, Y]]) -> None:
        # A callback and not a task for each run: every step of a task is a wait for the event loop.
        run = _Run(batch)
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._timed_run, run)
        except RuntimeError as error:
            self._free.release()
            _fail(batch, error)
            self._on_failure(f"the inference threads take no work: {error}")
            return
        self._runs.append(run)
        self._watch(run, self._max_run_seconds)
        running.add_done_callback(functools.partial(self._end, run))

    def _watch(self, run: _Run[X, Y], seconds: float) -> None:
        run.watchdog = asyncio.get_running_loop().call_later(seconds, self._check, run)

    def _check(self, run: _Run[X, Y]) -> None:
        """Give a run that began late, or has not begun, the rest of its time; a hanging one is a failure."""
        lasted = 0.0 if run.began is None else time.perf_counter() - run.began
        if lasted < self._max_run_seconds - 0.001:
            self._watch(run, self._max_run_seconds - lasted)
        else:
            self._on_failure(f"an inference has not ended after {self._max_run_seconds:g} s")

    def _timed_run(self, run: _Run[X, Y]) -> Sequence[Y | ServiceError]:
        """Answer those of a batch who still want it; on a thread."""
        run.began = time.perf_counter()
        run.wanted = [item for item in run.batch if not item.future.done() and not self._is_late(item)]
        if not run.wanted:
            return []
        try:
            outputs = self._run([item.input for item in run.wanted])
        except StopIteration as error:
            raise InferenceError(repr(error)) from error  # no future can carry it: its waiter would wait on
        if len(outputs) != len(run.wanted):
            raise InferenceError(f"the model gave {len(outputs)} outputs for {len(run.wanted)} inputs")
        run.seconds = time.perf_counter() - run.began
        return outputs

    def _end(self, run: _Run[X, Y], running: asyncio.Future[Sequence[Y | ServiceError]]) -> None:
        if run.watchdog is not None:
            run.watchdog.cancel()
        self._runs.remove(run)
        self._free.release()
        if running.cancelled():  # the threads were let go before it began
            for item in run.batch:
                _settle(item, _stopped())
            return
        for item in run.batch:
            if item not in run.wanted:
                _settle(item, _too_late())
        error = running.exception()
        if error is not None:  # also a thread's SystemExit: no reason to end anything here
            _fail(run.wanted, error)
            if isinstance(error, DeviceLostError):
                self._on_failure(str(error))
            return
        for item, output in zip(run.wanted, running.result(), strict=True):
            _settle(item, output)
        if run.wanted:
            average = self._batch_seconds or run.seconds
            self._batch_seconds = 0.8 * average + 0.2 * run.seconds
            self._fastest_seconds = min(self._fastest_seconds or run.seconds, run.seconds)
            self._on_batch(len(run.wanted))


def _settle(item: _Item[X, Y], output: Y | ServiceError) -> None:
    """Give a caller who is still there an output, or an error."""
    if item.future.done():
        return
    if isinstance(output, ServiceError):
        item.future.set_exception(output)
    else:
        item.future.set_result(output)


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("the deadline could not be met any more; the model was not run")


def _stopped() -> UnavailableError:
    return UnavailableError("the service was stopped", 1)


def _fail(batch: Sequence[_Item[X, Y]], error: BaseException) -> None:
    """Give each caller an error of its own: a traceback grows wherever its error is raised."""
    for item in batch:
        failure = InferenceError(f"the model failed: {error!r}")
        failure.__cause__ = error
        _settle(item, failure)
