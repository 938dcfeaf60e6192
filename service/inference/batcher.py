"""Dynamic batching: many callers, few inference threads.

One queue, one task, no polling; one thread on a GPU, one per processor on a CPU. The rules:

* An idle thread never waits: the first input runs at once.
* When all threads are busy, a batch closes once it is full, or once its oldest input has waited
  ``batch_timeout`` seconds since it arrived.
* A full queue refuses at once.
* An input whose caller has left is dropped before the model runs, without harm to its batch; so is one whose
  deadline is nearer than the fastest run so far. A batch that waits for a thread counts as waiting.
* An exception, or a wrong number of outputs, reaches every caller of the batch; the loop continues.
* An output that is a ServiceError is raised to its own caller.
* A run that does not end, a lost device, or an end of the loop itself is a failure that is reported once: the
  process has to be replaced.
* Closing finishes accepted inputs and refuses others.
"""

import asyncio
import functools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
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
    """The deadline on the clock of ``time.perf_counter``, which threads can read as well."""


@dataclass(eq=False, slots=True)
class _Run(Generic[X, Y]):
    """A batch that was submitted to the threads."""

    batch: list[_Item[X, Y]]
    began: float | None = None
    """Time on the clock of ``time.perf_counter`` at which a thread took it."""
    live: list[_Item[X, Y]] = field(default_factory=list)
    """Items of the batch whose callers still waited, and had time left, when it began."""
    seconds: float = 0.0
    watchdog: asyncio.TimerHandle | None = None


class Batcher(Generic[X, Y]):
    """Groups inputs of concurrent callers into batches; used as an async context manager.

    Args:
        run: maps a batch to as many outputs, in order; blocking.
        threads: where it runs; ``max_parallel_runs`` threads.
        max_parallel_runs: batches that run at the same time at most.
        max_runs_ahead: batches that are submitted ahead, so that a thread starts the next one without a round
            trip through the event loop. They cannot grow; use only with batches of one.
        max_batch_size: inputs in one batch at most.
        batch_timeout: seconds; see the rules above.
        max_queue_size: inputs that may wait, not counting batches that run.
        max_run_seconds: a run that lasts longer counts as hanging.
        on_batch: called with the size of every batch that ran.
        on_failure: called with the reason why no more inputs can be answered.
    """

    def __init__(
        self,
        run: Callable[[Sequence[X]], Sequence[Y | ServiceError]],
        threads: Executor,
        *,
        max_parallel_runs: int = 1,
        max_runs_ahead: int = 0,
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
        self._max_started_runs = max_parallel_runs + max_runs_ahead
        self._free = asyncio.Semaphore(self._max_started_runs)
        self._runs: list[_Run[X, Y]] = []
        """In the order in which threads take them."""
        self._batch_seconds = 0.0
        self._fastest_seconds = 0.0

    def start(self) -> None:
        """Start the loop; ``close``, or the end of ``async with``, ends it."""
        self._task = asyncio.create_task(self._serve(), name="batcher")

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def alive(self) -> bool:
        """Whether inputs are taken and answered."""
        return self._task is not None and not self._task.done() and not self._closing

    @property
    def queue_size(self) -> int:
        """Inputs whose callers wait, including those in batches that wait for a thread."""
        ahead = self._runs[self._max_parallel_runs :]
        return len(self._queue) + sum(not item.future.done() for run in ahead for item in run.batch)

    def expected_seconds(self, inputs: int) -> float:
        """Estimate how long so many inputs take, from recent batches; 0 before the first batch."""
        batches = math.ceil(inputs / self._max_batch_size)
        return batches * self._batch_seconds / self._max_parallel_runs

    def retry_after(self, inputs: int) -> int:
        """Return whole seconds, at least one, after which so many inputs should be answered."""
        return max(1, math.ceil(self.expected_seconds(inputs)))

    def check_room(self, inputs: int, deadline: float, *, upstream: int = 0) -> None:
        """Check that so many inputs fit into the queue, and can probably be answered before the deadline.

        An empty queue takes every input: an estimate from a slow spell must not lock it.

        Args:
            inputs: their number.
            deadline: event-loop time.
            upstream: inputs that will join the queue, which count as waiting.

        Raises:
            QueueFullError: if there is no room, or no time.
        """
        waiting = self.queue_size + upstream
        if waiting + inputs > self.max_queue_size:
            raise self._full_error()
        left = deadline - asyncio.get_running_loop().time()
        if waiting and self.expected_seconds(waiting + inputs) > left:
            raise QueueFullError(
                f"{waiting} strips are waiting, too many for an answer before the deadline in {left:.2f} s",
                self.retry_after(waiting),
            )

    def _full_error(self) -> QueueFullError:
        return QueueFullError(
            f"{self.max_queue_size} strips are waiting already", self.retry_after(self.max_queue_size)
        )

    def put_all(self, inputs: Sequence[X], deadline: float) -> list[asyncio.Future[Y]]:
        """Queue all inputs or none; see ``put``.

        Raises:
            QueueFullError: at once, as ``check_room`` does.
            UnavailableError: at once, if the batcher is closing or has died.
        """
        self._check_alive()
        self.check_room(len(inputs), deadline)
        return [self._enqueue(x, deadline) for x in inputs]

    def put(self, x: X, deadline: float | None = None) -> asyncio.Future[Y]:
        """Queue an input; the future holds its output, and to cancel it takes the input off the queue.

        Args:
            x: the input.
            deadline: event-loop time after which the output is of no use.

        Raises:
            QueueFullError: at once, if the queue is full.
            UnavailableError: at once, if the batcher is closing or has died.
            DeadlineExceededError: later, if the deadline can no longer be met when a thread is free.
            InferenceError: later, if the model failed.
        """
        self._check_alive()
        if self.queue_size >= self.max_queue_size:
            raise self._full_error()
        return self._enqueue(x, deadline)

    def _check_alive(self) -> None:
        if not self.alive:
            raise UnavailableError("the service accepts no more strips", self.retry_after(1))

    def _enqueue(self, x: X, deadline: float | None) -> asyncio.Future[Y]:
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
        """Finish accepted inputs, then stop."""
        self._closing = True
        self._changed.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def abandon(self) -> None:
        """Stop at once: refuse all that is not answered, and submit nothing more to the threads."""
        self._closing = True
        for run in self._runs:
            for item in run.batch:
                _settle(item, _stopped())
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
                await self._free.acquire()  # released by each run that ends
        finally:
            # The queue holds items only if this task was cancelled: no caller may be left waiting.
            for item in self._queue:
                _settle(item, _stopped())
            self._queue.clear()
            if not self._closing:
                self._on_failure("the batcher has stopped")

    async def _next_input(self) -> bool:
        """Wait for an input; return False when there will be none."""
        while not self._queue:
            if self._closing:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    async def _fill(self) -> None:
        """Let a batch grow until it is full or its oldest input has waited for ``batch_timeout``."""
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
        """Take a batch off the queue, without items whose callers have left or that would be late."""
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
        # A callback, not a task per run: each step of a task would wait for the event loop.
        run = _Run(batch)
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._timed_run, run)
        except RuntimeError as error:
            self._free.release()
            _fail(batch, error)
            self._on_failure(f"the inference threads accept no work: {error}")
            return
        self._runs.append(run)
        self._watch(run, self._max_run_seconds)
        running.add_done_callback(functools.partial(self._end, run))

    def _watch(self, run: _Run[X, Y], seconds: float) -> None:
        run.watchdog = asyncio.get_running_loop().call_later(seconds, self._check, run)

    def _check(self, run: _Run[X, Y]) -> None:
        """Give a run that began late, or has not begun, the rest of its time; report one that hangs."""
        lasted = 0.0 if run.began is None else time.perf_counter() - run.began
        if lasted < self._max_run_seconds - 0.001:
            self._watch(run, self._max_run_seconds - lasted)
        else:
            self._on_failure(f"an inference has not ended after {self._max_run_seconds:g} s")

    def _timed_run(self, run: _Run[X, Y]) -> Sequence[Y | ServiceError]:
        """Run the live items of a batch; on a thread."""
        run.began = time.perf_counter()
        run.live = [item for item in run.batch if not item.future.done() and not self._is_late(item)]
        if not run.live:
            return []
        try:
            outputs = self._run([item.input for item in run.live])
        except StopIteration as error:
            # A future cannot carry StopIteration; its awaiter would hang.
            raise InferenceError(repr(error)) from error
        if len(outputs) != len(run.live):
            raise InferenceError(f"expected {len(run.live)} outputs of the model, got {len(outputs)}")
        run.seconds = time.perf_counter() - run.began
        return outputs

    def _end(self, run: _Run[X, Y], running: asyncio.Future[Sequence[Y | ServiceError]]) -> None:
        if run.watchdog is not None:
            run.watchdog.cancel()
        self._runs.remove(run)
        self._free.release()
        if running.cancelled():  # the threads were shut down before it began
            for item in run.batch:
                _settle(item, _stopped())
            return
        for item in run.batch:
            if item not in run.live:
                _settle(item, _too_late())
        error = running.exception()
        if error is not None:  # a thread's SystemExit as well: it must not end the event loop
            _fail(run.live, error)
            if isinstance(error, DeviceLostError):
                self._on_failure(str(error))
            return
        for item, output in zip(run.live, running.result(), strict=True):
            _settle(item, output)
        if run.live:
            average = self._batch_seconds or run.seconds
            self._batch_seconds = 0.8 * average + 0.2 * run.seconds
            self._fastest_seconds = min(self._fastest_seconds or run.seconds, run.seconds)
            self._on_batch(len(run.live))


def _settle(item: _Item[X, Y], output: Y | ServiceError) -> None:
    """Give the caller an output or an error, unless it has left."""
    if item.future.done():
        return
    if isinstance(output, ServiceError):
        item.future.set_exception(output)
    else:
        item.future.set_result(output)


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("the deadline could no longer be met; the model was not run")


def _stopped() -> UnavailableError:
    return UnavailableError("the service was stopped", 1)


def _fail(batch: Sequence[_Item[X, Y]], error: BaseException) -> None:
    """Give each caller an error of its own: every raise of one error adds to its traceback."""
    for item in batch:
        failure = InferenceError(f"the model failed: {error!r}")
        failure.__cause__ = error
        _settle(item, failure)
