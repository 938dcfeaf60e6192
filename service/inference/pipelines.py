"""Pipelines bring jobs through their stages.

On a CPU, a ``Batcher`` of jobs is the pipeline: each of its threads runs all stages of a strip, since handing
a strip from thread to thread only costs. On a GPU, ``StagedPipeline`` decodes and postprocesses on other
threads, so that the one thread that infers never waits for them.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Protocol

from service.geometry import Strip
from service.inference.batcher import Batcher
from service.inference.prediction import Decoded, Elapsed, Inferred, Job, Prediction, decode_job, finish_job


class Pipeline(Protocol):
    """Predicts jobs; a ``Batcher`` of jobs is one."""

    @property
    def queue_size(self) -> int:
        """Jobs that count as waiting."""
        ...

    def check_room(self, inputs: int, deadline: float) -> None:
        """Raise QueueFullError unless so many jobs can be taken; see ``Batcher.check_room``."""
        ...

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Take all jobs or none; see ``Batcher.put_all``. To cancel a future gives its job up."""
        ...


class StagedPipeline:
    """Decodes and postprocesses on threads beside the one that infers.

    Args:
        batcher: runs ``infer``.
        threads: for the other stages.
        max_pixels: largest image, by its header.
    """

    def __init__(self, batcher: Batcher[Strip, Inferred], threads: Executor, *, max_pixels: int) -> None:
        self._batcher = batcher
        self._threads = threads
        self._max_pixels = max_pixels
        self._decoding = 0

    @property
    def queue_size(self) -> int:
        """Strips in the queue, and those that are being decoded for it."""
        return self._batcher.queue_size + self._decoding

    def check_room(self, inputs: int, deadline: float) -> None:
        """Raise QueueFullError unless so many jobs can be taken; see ``Batcher.check_room``."""
        self._batcher.check_room(inputs, deadline, upstream=self._decoding)

    def put_all(self, inputs: Sequence[Job], deadline: float) -> list[asyncio.Future[Prediction]]:
        """Begin to decode; see ``Pipeline``."""
        self.check_room(len(inputs), deadline)
        return [asyncio.ensure_future(self._predict(job, self._decode(job), deadline)) for job in inputs]

    def _decode(self, job: Job) -> asyncio.Future[Decoded]:
        decoding = asyncio.get_running_loop().run_in_executor(
            self._threads, decode_job, job, self._max_pixels
        )
        self._decoding += 1
        # Counted until the thread is done, not until the caller gives up.
        decoding.add_done_callback(self._on_decoded)
        return decoding

    def _on_decoded(self, decoding: asyncio.Future[Decoded]) -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # retrieved, even if the caller has gone

    async def _predict(self, job: Job, decoding: asyncio.Future[Decoded], deadline: float) -> Prediction:
        decoded = await asyncio.shield(decoding)
        queued = time.perf_counter()
        inferred = await self._batcher.put(decoded.strip, deadline)
        queue = Elapsed(inferred.started - queued, 0.0)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, finish_job, job, decoded, inferred, queue
        )
