"""Images in, their four classes out, in time."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from service import rle
from service.batcher import Batcher
from service.errors import DeadlineExceededError, InferenceError, QueueFullError, ServiceError
from service.metadata import OperatingPoint, Strip
from service.postprocess import ClassMask, segment
from service.preprocess import decode
from service.session import Probabilities
from service.stopwatch import Spent, Stopwatch


@dataclass(frozen=True, slots=True)
class Timing:
    """What one strip spent in each stage."""

    decode: Spent
    queue: Spent
    inference: Spent
    """Seconds of the whole batch; of its processor seconds, this strip's share."""
    postprocess: Spent


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


_Decoded = tuple[Strip, str, Spent]
"""Strip, hash of the bytes that came, what it took."""


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
            QueueFullError: at once, if there is no room for all of them, or no time.
        """
        self.check_room(len(files), deadline)
        decodings = [self._start_decoding(data) for data in files]
        return await asyncio.gather(
            *(self._answer(decoding, point, deadline, encode) for decoding in decodings)
        )

    def check_room(self, files: int, deadline: float) -> None:
        """Raise QueueFullError unless there is room for so many files, and time before the deadline.

        Files that are being decoded count, so that no processor time goes into some that are refused. An
        idle service takes whatever comes: an estimate from a slow spell must not lock it.
        """
        waiting = self._batcher.queue_size + self._decoding
        if waiting + files > self._batcher.max_queue_size:
            raise self._batcher.full_error()
        left = deadline - asyncio.get_running_loop().time()
        if waiting and self._batcher.expected_seconds(waiting + files) > left:
            raise QueueFullError(
                f"{waiting} strips are waiting, too many for an answer before the deadline in {left:.2f} s",
                self._batcher.retry_after(waiting),
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
        strip, sha256, decode_spent = await asyncio.shield(decoding)
        answer = await self._batcher.submit(strip, deadline)
        classes, rles, postprocess_spent = await asyncio.get_running_loop().run_in_executor(
            self._threads, _postprocess, answer.output, point, encode
        )
        timing = Timing(
            decode=decode_spent,
            queue=Spent(answer.queue_seconds, 0.0),
            inference=Spent(answer.run.seconds, answer.run.cpu_seconds / answer.batch_size),
            postprocess=postprocess_spent,
        )
        return Prediction(strip, sha256, classes, rles, timing)

    def _decode(self, data: bytes) -> _Decoded:
        watch = Stopwatch()
        strip = decode(data, max_pixels=self._max_pixels)
        return strip, hashlib.sha256(data).hexdigest(), watch.read()


def _postprocess(
    probabilities: Probabilities, point: OperatingPoint, encode: bool
) -> tuple[list[ClassMask], list[str], Spent]:
    watch = Stopwatch()
    classes = segment(probabilities.classes, probabilities.masks, point)
    rles = [rle.encode(found.mask) if encode and found.mask is not None else "" for found in classes]
    return classes, rles, watch.read()
