"""``python -m bench.ray_batching``: our batcher and Ray's ``@serve.batch``, with a model that costs nothing.

It measures the cost of a call in a full queue, and the number of inputs that run although their clients have
left.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from ray import serve

from service.inference.batcher import Batcher

_CALLERS, _SECONDS, _ROUNDS, _BATCH, _WAIT = 32, 2.0, 5, 16, 0.002


@serve.deployment(max_ongoing_requests=_CALLERS * 2)
class Compared:
    """Replica that runs the comparison; ``@serve.batch`` works only in one."""

    async def __call__(self) -> str:
        """Measure and return a table."""
        return await _compare()


async def _compare() -> str:
    with ThreadPoolExecutor(1) as thread:
        ran: list[int] = []

        def run(items: Sequence[int]) -> list[int]:
            ran.extend(items)
            return list(items)

        def slowly(items: Sequence[int]) -> list[int]:
            time.sleep(0.05)
            return run(items)

        ways = {"Batcher": _ours, "@serve.batch": _rays}
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, make in ways.items():
                costs[name].append(await _cost(await make(run, thread)))
        lines = []
        for name, found in costs.items():
            ran.clear()
            await _leave(await ways[name](slowly, thread))
            # One input runs when the other clients leave; none of the others needs to run.
            lines.append(
                f"{name:<14} {1e6 * statistics.median(found):5.0f} us of CPU time per call; "
                f"{len(ran)} of 33 inputs run after 32 clients left"
            )
    return "\n".join(lines)


Submit = Callable[[int], Awaitable[object]]


async def _ours(run: Callable[[Sequence[int]], list[int]], thread: ThreadPoolExecutor) -> Submit:
    batcher = Batcher(
        run, thread, max_parallel_runs=1, max_batch_size=_BATCH, batch_timeout=_WAIT, max_queue_size=64
    )
    batcher.start()

    async def submit(item: int) -> object:
        return await batcher.put(item, deadline=asyncio.get_running_loop().time() + 60)

    return submit


async def _rays(run: Callable[[Sequence[int]], list[int]], thread: ThreadPoolExecutor) -> Submit:
    @serve.batch(max_batch_size=_BATCH, batch_wait_timeout_s=_WAIT)
    async def submit(items: list[int]) -> list[int]:
        return await asyncio.get_running_loop().run_in_executor(thread, run, items)

    return submit


async def _cost(submit: Submit) -> float:
    """Return CPU seconds of this process per call, with clients always waiting."""
    done = 0
    ends = time.monotonic() + _SECONDS

    async def call(number: int) -> None:
        nonlocal done
        while time.monotonic() < ends:
            await submit(number)
            done += 1

    before = time.process_time()
    await asyncio.gather(*(call(number) for number in range(_CALLERS)))
    return (time.process_time() - before) / done


async def _leave(submit: Submit) -> None:
    first = asyncio.ensure_future(submit(0))
    await asyncio.sleep(0.02)  # it runs now
    others = [asyncio.ensure_future(submit(number)) for number in range(1, _CALLERS + 1)]
    await asyncio.sleep(0.01)
    for other in others:
        other.cancel()
    await first
    await asyncio.sleep(0.5)


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    application: Any = Compared
    print(serve.run(application.bind(), route_prefix=None).remote().result())
