"""Images in, their four classes out, in time."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from service import rle
from service.batcher import Batcher
from service.errors import DeadlineExceededError, InferenceError, ServiceError
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


_Decoded = tuple[Strip, str, float]
"""Strip, hash of the bytes that came, seconds that it took."""


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
        self, files: Sequence[bytes], point: OperatingPoint, *, deadline: float, encode: bool = True
    ) -> list[Prediction | ServiceError]:
        """Answer image files, each with a prediction or with its own error.

        Args:
            files: the bytes of the files.
            point: thresholds and areas.
            deadline: event-loop time by which the answers are wanted.
            encode: whether to write run-length codes.

        Raises:
            QueueFullError: at once, if there is no room for all of them.
        """
        # Counted with the queue, so that no processor time goes into strips that would be refused.
        if self._batcher.queue_size + self._decoding + len(files) > self._batcher.max_queue_size:
            raise self._batcher.full_error()
        decodings = [self._start_decoding(data) for data in files]
        return await asyncio.gather(
            *(self._answer(decoding, point, deadline, encode) for decoding in decodings)
        )

    def _start_decoding(self, data: bytes) -> asyncio.Future[_Decoded]:
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, self._decode, data)
        self._decoding += 1
        # Counted until the thread is done, not until the caller gives up.
        decoding.add_done_callback(self._decoded)
        return decoding

    def _decoded(self, decoding: asyncio.Future[_Decoded]) -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # seen, even if nobody waits for it any more

    async def _answer(
        self, decoding: asyncio.Future[_Decoded], point: OperatingPoint, deadline: float, encode: bool
    ) -> Prediction | ServiceError:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._predict(decoding, point, deadline, encode)
        except TimeoutError:
            return DeadlineExceededError("the deadline passed before the answer was ready")
        except ServiceError as error:
            return error
        except Exception as error:  # a bug, or no memory: this file's misfortune, nobody else's
            failure = InferenceError(repr(error))
            failure.__cause__ = error
            return failure

    async def _predict(
        self, decoding: asyncio.Future[_Decoded], point: OperatingPoint, deadline: float, encode: bool
    ) -> Prediction:
        strip, sha256, decode_seconds = await asyncio.shield(decoding)
        answer = await self._batcher.submit(strip, deadline)
        classes, rles, postprocess_seconds = await asyncio.get_running_loop().run_in_executor(
            self._threads, _postprocess, answer.output, point, encode
        )
        timing = Timing(decode_seconds, answer.queue_seconds, answer.run_seconds, postprocess_seconds)
        return Prediction(strip, sha256, classes, rles, timing)

    def _decode(self, data: bytes) -> _Decoded:
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
