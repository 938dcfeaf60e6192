"""Dynamic batching: the classes of bug that other batchers had come first."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidImageError,
    QueueFullError,
    ServiceError,
    UnavailableError,
)
from service.inference.batcher import Batcher

X = TypeVar("X")
Y = TypeVar("Y")

pytestmark = pytest.mark.anyio


class Model:
    """Doubles numbers; stops at a gate until let through; fails on negative numbers."""

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.gate = threading.Semaphore(0)
        self.gated = gated

    def __call__(self, inputs: Sequence[int]) -> list[int]:
        self.batches.append(list(inputs))
        self.threads.add(threading.current_thread().name)
        if self.gated:
            assert self.gate.acquire(timeout=10)
        if any(number < 0 for number in inputs):
            raise RuntimeError("CUDA out of memory")
        return [2 * number for number in inputs]

    async def entered(self, batches: int) -> None:
        """Wait until the model works on its n-th batch."""
        async with asyncio.timeout(10):
            while len(self.batches) < batches:
                await asyncio.sleep(0.001)

    def wait_without_the_event_loop(self, batches: int) -> None:
        until = time.monotonic() + 10
        while len(self.batches) < batches and time.monotonic() < until:
            time.sleep(0.001)


def batcher(
    run: Callable[[Sequence[X]], Sequence[Y | ServiceError]], threads: Executor | None = None, **options: Any
) -> Batcher[X, Y]:
    """Build one with options as the tests need them; by default with threads of its own."""
    values = {"max_batch_size": 4, "batch_timeout": 0.0, "max_queue_size": 8, **options}
    return Batcher(run, threads or ThreadPoolExecutor(values.get("max_parallel_runs", 1)), **values)


async def test_one_cancelled_caller_does_not_hurt_its_batch_mates() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model) as one:
        first = one.put(0)
        await model.entered(1)
        mates = [one.put(number) for number in (1, 2, 3, 4)]
        await asyncio.sleep(0)
        model.gate.release()
        await model.entered(2)
        mates[1].cancel()  # while the model runs on the four
        model.gate.release()
        answers = await asyncio.gather(first, *mates, return_exceptions=True)
    assert isinstance(answers[2], asyncio.CancelledError)
    assert [a for a in answers if isinstance(a, int)] == [0, 2, 6, 8]
    assert model.batches[1] == [1, 2, 3, 4]


async def test_an_exception_reaches_every_caller_and_the_next_batch_works() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model) as one:
        first = one.put(0)
        await model.entered(1)
        mates = [one.put(number) for number in (1, -1)]
        await asyncio.sleep(0)
        model.gate.release()
        model.gate.release()
        failures = await asyncio.gather(*mates, return_exceptions=True)
        await first
        assert [type(failure) for failure in failures] == [InferenceError, InferenceError]
        assert failures[0] is not failures[1]
        assert one.alive
        model.gate.release()
        assert await one.put(5) == 10


async def test_a_cancelled_caller_gets_its_cancellation_and_the_model_does_not_run() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model) as one:
        first = one.put(0)
        await model.entered(1)
        gone = one.put(1)
        await asyncio.sleep(0)
        assert one.queue_size == 1
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await asyncio.sleep(0)
        assert one.queue_size == 0
        model.gate.release()
        await first
    assert model.batches == [[0]]


async def test_an_idle_model_never_waits() -> None:
    model = Model()
    async with asyncio.timeout(5), batcher(model, batch_timeout=60) as one:
        assert await one.put(1) == 2


async def test_inputs_that_arrive_while_the_model_is_busy_share_the_next_batch() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, batch_timeout=60) as one:
        calls = [one.put(0)]
        await model.entered(1)
        calls += [one.put(number) for number in range(1, 7)]
        for _ in range(3):
            model.gate.release()
        answers = await asyncio.gather(*calls[:5])
        # The two that are left wait for the rest of their batch; closing lets them go.
        closing = asyncio.create_task(one.close())
        answers += await asyncio.gather(*calls[5:])
        await closing
    assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert answers == [0, 2, 4, 6, 8, 10, 12]


async def test_a_part_batch_closes_when_its_oldest_input_has_waited() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, batch_timeout=0.05) as one:
        first = one.put(0)
        await model.entered(1)
        arrived = time.perf_counter()
        second = one.put(1)
        model.gate.release(2)
        await second
        waited = time.perf_counter() - arrived
        await first
    assert waited >= 0.045


async def test_the_time_limit_counts_from_arrival() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, batch_timeout=1.0) as one:
        first = one.put(0)
        await model.entered(1)
        second = one.put(1)
        await asyncio.sleep(1.05)  # the whole limit passes while the model is busy
        released = time.perf_counter()
        model.gate.release(2)
        await asyncio.gather(first, second)
    assert time.perf_counter() - released < 0.9


async def test_a_full_queue_refuses_at_once_with_a_time() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, max_queue_size=2) as one:
        calls = [one.put(0)]
        await model.entered(1)
        calls += [one.put(number) for number in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="2 strips are waiting") as refusal:
            await one.put(3)
        assert refusal.value.retry_after >= 1
        model.gate.release(2)
        await asyncio.gather(*calls)


async def test_retry_after_grows_with_queue_and_batch_time() -> None:
    def slow(inputs: Sequence[int]) -> Sequence[int]:
        time.sleep(0.3)
        return inputs

    async with asyncio.timeout(10), batcher(slow, max_batch_size=1, max_queue_size=10) as one:
        await one.put(1)
        assert 10 >= one.retry_after(one.max_queue_size) >= 3 > one.retry_after(1)


async def test_a_deadline_that_cannot_be_met_is_refused_before_the_model_runs() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model) as one:
        first = one.put(0)
        await model.entered(1)
        deadline = asyncio.get_running_loop().time() + 0.02
        late = one.put(1, deadline)
        await asyncio.sleep(0.05)
        model.gate.release()
        with pytest.raises(DeadlineExceededError, match="not run"):
            await late
        await first
    assert model.batches == [[0]]


async def test_a_wrong_number_of_outputs_reaches_the_callers() -> None:
    def run(_inputs: Sequence[int]) -> list[int]:
        return []

    async with asyncio.timeout(5), batcher(run) as one:
        with pytest.raises(InferenceError, match="expected 1 outputs of the model, got 0"):
            await one.put(1)


async def test_an_output_that_is_an_error_is_its_own_callers() -> None:
    def run(inputs: Sequence[int]) -> list[int | ServiceError]:
        return [InvalidImageError(f"no {number}") if number % 2 else number for number in inputs]

    async with asyncio.timeout(5), batcher(run) as one:
        answers = await asyncio.gather(*(one.put(number) for number in range(4)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["0", "no 1", "2", "no 3"]
    assert [isinstance(answer, InvalidImageError) for answer in answers] == [False, True, False, True]


async def test_closing_finishes_what_was_accepted_and_then_refuses() -> None:
    model = Model(gated=True)
    one = batcher(model)
    async with asyncio.timeout(10):
        await one.__aenter__()
        calls = [one.put(0)]
        await model.entered(1)
        calls += [one.put(number) for number in range(1, 7)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(one.close())
        await asyncio.sleep(0)
        assert not one.alive
        with pytest.raises(UnavailableError):
            await one.put(9)
        model.gate.release(10)
        await closing
        answers = await asyncio.gather(*calls)
    assert answers == [0, 2, 4, 6, 8, 10, 12]


async def test_a_batcher_that_was_not_started_refuses() -> None:
    with pytest.raises(UnavailableError):
        await batcher(Model()).put(1)
    await batcher(Model()).close()


async def test_a_killed_task_leaves_nobody_waiting() -> None:
    model = Model(gated=True)
    one = batcher(model)
    async with asyncio.timeout(10):
        await one.__aenter__()
        calls = [one.put(0)]
        await model.entered(1)
        calls.append(one.put(1))
        await asyncio.sleep(0)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "batcher"]
        task.cancel()
        model.gate.release()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[0] == 0
        assert isinstance(answers[1], UnavailableError)
        assert not one.alive
        await one.close()


async def test_one_thread_runs_everything() -> None:
    model = Model()
    async with asyncio.timeout(10), batcher(model, max_queue_size=100) as one:
        await asyncio.gather(*(one.put(number) for number in range(50)))
    assert len(model.threads) == 1
    assert max(map(len, model.batches)) <= 4


async def test_idle_threads_never_wait_and_busy_ones_let_batches_grow() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, max_parallel_runs=2, batch_timeout=60) as one:
        calls = []
        for number in (0, 1):
            calls.append(one.put(number))
            await model.entered(number + 1)
        calls += [one.put(number) for number in (2, 3, 4, 5)]
        await asyncio.sleep(0.01)
        assert len(model.batches) == 2
        model.gate.release(3)
        answers = await asyncio.gather(*calls)
    assert model.batches == [[0], [1], [2, 3, 4, 5]]
    assert answers == [0, 2, 4, 6, 8, 10]
    assert len(model.threads) == 2


async def test_a_thread_has_its_next_batch_at_hand() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, max_runs_ahead=1, max_batch_size=1) as one:
        calls = [one.put(0)]
        await model.entered(1)
        calls += [one.put(number) for number in (1, 2, 3)]
        await asyncio.sleep(0.01)
        assert one.queue_size == 3  # one of them waits for the thread
        assert len(model.threads) == 1
        model.gate.release()
        model.wait_without_the_event_loop(2)
        assert model.batches == [[0], [1]]
        closing = asyncio.create_task(one.close())
        model.gate.release(3)
        await closing
        assert [call.result() for call in calls] == [0, 2, 4, 6]
    assert model.batches == [[0], [1], [2], [3]]


async def test_what_waits_for_the_thread_is_dropped_and_refused_like_what_waits_before() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, max_runs_ahead=2, max_batch_size=1) as one:
        first = one.put(0)
        await model.entered(1)
        gone, late = one.put(1), one.put(2, asyncio.get_running_loop().time() + 0.02)
        await asyncio.sleep(0.05)
        assert one.queue_size == 2
        gone.cancel()
        assert one.queue_size == 1  # who has left keeps no room
        model.gate.release()
        with pytest.raises(DeadlineExceededError, match="not run"):
            await late
        assert await first == 0
        model.gate.release()
        assert await one.put(3) == 6
    assert model.batches == [[0], [3]]


async def test_a_run_hangs_by_its_own_time_not_by_that_of_its_wait() -> None:
    failures: list[str] = []
    hung = threading.Event()

    def run(inputs: Sequence[bool]) -> Sequence[bool]:
        if inputs[0]:
            hung.wait(20)
        else:
            time.sleep(1)
        return inputs

    def fail(reason: str) -> None:
        failures.append(reason)
        hung.set()

    one = batcher(run, max_runs_ahead=1, max_batch_size=1, max_run_seconds=1.7, on_failure=fail)
    async with asyncio.timeout(30), one:
        # The second ends 2 s after it was handed over.
        await asyncio.gather(one.put(False), one.put(False))
        assert failures == []
        await one.put(True)
    assert failures == ["an inference has not ended after 1.7 s"]


async def test_threads_that_are_let_go_leave_nobody_waiting() -> None:
    model, failures = Model(gated=True), list[str]()
    threads = ThreadPoolExecutor(1)
    one = batcher(model, threads, max_runs_ahead=1, max_batch_size=1, on_failure=failures.append)
    async with asyncio.timeout(10):
        one.start()
        calls = [one.put(0)]
        await model.entered(1)
        calls += [one.put(1), one.put(2)]  # ahead, and in the queue
        await asyncio.sleep(0.01)
        one.abandon()
        threads.shutdown(wait=False, cancel_futures=True)
        model.gate.release()
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [UnavailableError] * 3
    assert failures == []


async def test_a_failing_run_gives_its_thread_back() -> None:
    model = Model()
    async with asyncio.timeout(10), batcher(model, max_parallel_runs=2) as one:
        for _ in range(5):
            with pytest.raises(InferenceError):
                await one.put(-1)
        assert await one.put(3) == 6


async def test_closing_waits_for_every_run() -> None:
    model = Model(gated=True)
    async with asyncio.timeout(10), batcher(model, max_parallel_runs=2, max_batch_size=1) as one:
        calls = [one.put(number) for number in range(4)]
        await model.entered(2)
        closing = asyncio.create_task(one.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        model.gate.release(4)
        await closing
        assert [call.result() for call in calls] == [0, 2, 4, 6]


async def test_batches_are_reported() -> None:
    seen: list[int] = []
    async with asyncio.timeout(5), batcher(Model(), on_batch=seen.append) as one:
        await asyncio.gather(*(one.put(number) for number in range(3)))
    assert seen == [3]


caller = st.tuples(
    st.integers(0, 3),  # milliseconds before it comes
    st.booleans(),  # whether it breaks its batch
    st.none() | st.integers(0, 4),  # milliseconds until it leaves
    st.none() | st.integers(1, 6),  # milliseconds until its deadline
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(caller, min_size=1, max_size=24),
    st.integers(1, 5),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.001, 0.003]),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_every_caller_gets_its_own_answer_or_its_own_error(
    callers: list[tuple[int, bool, int | None, int | None]],
    size: int,
    queue: int,
    wait: float,
    runs: int,
    waiting_runs: int,
) -> None:
    def run(inputs: Sequence[tuple[int, bool]]) -> list[int]:
        time.sleep(0.001)
        if any(breaks for _, breaks in inputs):
            raise RuntimeError("broken")
        return [number * 7 for number, _ in inputs]

    async def scenario() -> None:
        one = batcher(
            run,
            threads,
            max_parallel_runs=runs,
            max_runs_ahead=waiting_runs,
            max_batch_size=size,
            batch_timeout=wait,
            max_queue_size=queue,
        )
        loop = asyncio.get_running_loop()

        async def call(number: int, breaks: bool, delay: int, deadline: int | None) -> int:
            await asyncio.sleep(delay / 1000)
            limit = None if deadline is None else loop.time() + deadline / 1000
            return await one.put((number, breaks), limit)

        async with one:
            tasks = []
            for number, (delay, breaks, leaves, deadline) in enumerate(callers):
                task = asyncio.create_task(call(number, breaks, delay, deadline))
                tasks.append(task)
                if leaves is not None:
                    loop.call_later((delay + leaves) / 1000, task.cancel)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert one.alive
            assert one.queue_size == 0
        for number, (answer, (_, breaks, leaves, deadline)) in enumerate(zip(answers, callers, strict=True)):
            match answer:
                case int():
                    assert answer == number * 7
                    assert not breaks
                case asyncio.CancelledError():
                    assert leaves is not None
                case DeadlineExceededError():
                    assert deadline is not None
                case InferenceError():
                    assert any(breaks for _, breaks, _, _ in callers)
                case _:
                    assert isinstance(answer, QueueFullError)

    async def limited() -> None:
        async with asyncio.timeout(10):
            await scenario()

    with ThreadPoolExecutor(runs) as threads:
        asyncio.run(limited())


async def test_a_model_that_raises_stop_iteration_fails_its_callers() -> None:
    def run(_inputs: Sequence[int]) -> list[int]:
        raise StopIteration

    async with asyncio.timeout(5), batcher(run) as one:
        for _ in range(2):
            with pytest.raises(InferenceError, match="StopIteration"):
                await one.put(1)


async def test_threads_that_accept_no_work_are_a_failure() -> None:
    reasons: list[str] = []
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    one = Batcher(
        Model(), threads, max_batch_size=2, batch_timeout=0, max_queue_size=4, on_failure=reasons.append
    )
    async with asyncio.timeout(5), one:
        with pytest.raises(InferenceError, match="cannot schedule new futures"):
            await one.put(1)
    assert len(reasons) == 1
    assert reasons[0].startswith("the inference threads accept no work")
