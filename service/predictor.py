"""One image in, its four classes out, in time."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from service import rle
from service.batcher import Batcher
from service.errors import DeadlineExceededError
from service.metadata import OperatingPoint, Strip
from service.postprocess import ClassMask, segment
from service.preprocess import decode
from service.session import Probabilities


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one strip spent in each stage."""

    decode: float
    queue: float
    inference: float
    postprocess: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    strip: Strip
    sha256: str
    """Of the bytes that came."""
    classes: Sequence[ClassMask]
    rles: Sequence[str]
    """Kaggle's run-length code per class; empty if it was not asked for or there is no mask."""
    timing: Timing


class Predictor:
    """Decodes on threads, infers through the batcher, thresholds and encodes on threads.

    Args:
        batcher: maps strips to probabilities; owned by the caller.
        threads: where images are decoded and masks encoded.
        max_pixels: largest image, by its header.
    """

    def __init__(self, batcher: Batcher[Strip, Probabilities], threads: Executor, *, max_pixels: int) -> None:
        self._batcher = batcher
        self._threads = threads
        self._max_pixels = max_pixels
        self._decoding = 0

    async def predict(
        self, data: bytes, point: OperatingPoint, *, deadline: float, encode: bool = True
    ) -> Prediction:
        """Answer one image file.

        Args:
            data: the bytes of the file.
            point: thresholds and areas.
            deadline: event-loop time by which the answer is wanted.
            encode: whether to write run-length codes.

        Raises:
            ServiceError: the subclass says what was wrong; nobody else's request is touched.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await self._predict(data, point, deadline, encode)
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the answer was ready") from error

    async def _predict(self, data: bytes, point: OperatingPoint, deadline: float, encode: bool) -> Prediction:
        loop = asyncio.get_running_loop()
        # Counted with the queue, so that no processor time goes into strips that would be refused.
        if self._batcher.queue_size + self._decoding >= self._batcher.max_queue_size:
            raise self._batcher.full_error()
        self._decoding += 1
        try:
            strip, sha256, decode_seconds = await loop.run_in_executor(self._threads, self._decode, data)
        finally:
            self._decoding -= 1
        answer = await self._batcher.submit(strip, deadline)
        classes, rles, postprocess_seconds = await loop.run_in_executor(
            self._threads, _postprocess, answer.output, point, encode
        )
        timing = Timing(decode_seconds, answer.queue_seconds, answer.run_seconds, postprocess_seconds)
        return Prediction(strip, sha256, classes, rles, timing)

    def _decode(self, data: bytes) -> tuple[Strip, str, float]:
        started = time.perf_counter()
        strip = decode(data, max_pixels=self._max_pixels)
        return strip, hashlib.sha256(data).hexdigest(), time.perf_counter() - started


def _postprocess(
    probabilities: Probabilities, point: OperatingPoint, encode: bool
) -> tuple[list[ClassMask], list[str], float]:
    started = time.perf_counter()
    classes = segment(probabilities.classes, probabilities.masks, point)
    rles = [rle.encode(found.mask) if encode and found.mask is not None else "" for found in classes]
    return classes, rles, time.perf_counter() - started
