"""Frames of several tiles take a place in the queue for each, and are answered as one."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from service.errors import DeadlineExceededError, InvalidImageError, PayloadTooLargeError, QueueFullError
from service.geometry import Strip
from service.images.decode import Size
from service.inference.batcher import Batcher
from service.inference.model_server import ModelServer
from service.inference.pipelines import DirectPipeline, StagedPipeline
from service.inference.prediction import (
    ImageRules,
    Job,
    Prediction,
    PredictOptions,
    Tile,
    infer_mixed,
    run_batch,
    run_jobs,
)
from service.model.session import OrtSession
from service.model.verdict import Review
from tests.support.health import LIMITS
from tests.support.images import png
from tests.support.mill import TILE, VALUES, write_mill_model
from tests.support.tiny_model import block_rle, draw_blocks

pytestmark = pytest.mark.anyio

SHAPE = (160, 240)
"""3 x 3 tiles: rows from 0, 48 and 96 on, columns from 0, 72 and 144 on."""
LINE = (20, 70, 200, 5)
FRAME = draw_blocks(SHAPE, [(VALUES[1], LINE), (VALUES[0], (230, 150, 10, 10))])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    path = write_mill_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx")
    return OrtSession(path, device="cpu", threads=1, max_batch_size=4)


class Gate:
    """Holds the inference threads until it is opened, and counts the tiles that they run."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.tiles = 0

    def wait(self, batch: Sequence[object]) -> None:
        self.tiles += sum(isinstance(one, Tile) for one in batch)
        assert self.opened.wait(20)


@contextlib.asynccontextmanager
async def serving(
    session: OrtSession, kind: str, *, places: int = 64, gate: Gate | None = None, max_pixels: int = 10**6
) -> AsyncIterator[ModelServer]:
    rules = ImageRules.of(session.metadata, max_pixels=max_pixels, check_health=True)
    with ThreadPoolExecutor(2) as inference, ThreadPoolExecutor(2) as images:

        def run(batch: Sequence[Any]) -> list[Any]:
            if gate is not None:
                gate.wait(batch)
            if kind == "staged":
                return [*infer_mixed(session, batch)]
            return [*run_batch(session, batch, rules)]

        batcher: Batcher[Any, Any] = Batcher(
            run,
            inference,
            max_parallel_runs=1 if kind == "staged" else 2,
            max_batch_size=4 if kind == "staged" else 1,
            batch_timeout=0,
            max_queue_size=places,
        )
        pipeline = (StagedPipeline if kind == "staged" else DirectPipeline)(
            batcher, images, rules, Review.by(session.metadata)
        )
        async with batcher:
            try:
                yield ModelServer(session, pipeline, batcher, inference)
            finally:
                if gate is not None:
                    gate.opened.set()


def options(session: OrtSession, **changes: object) -> PredictOptions:
    return PredictOptions(session.metadata.profiles[0], "rle", **changes)  # type: ignore[arg-type]


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def settled(server: ModelServer, tiles: int) -> None:
    """Wait until so many tiles are in the queue, after their frames were decoded."""
    async with asyncio.timeout(20):
        while server.batcher.queue_size != tiles:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", ["direct", "staged"])
async def test_a_frame_is_answered_in_its_own_coordinates(session: OrtSession, kind: str) -> None:
    strip = draw_blocks(TILE, [(VALUES[2], (5, 6, 7, 8))])
    async with serving(session, kind) as server:
        files = [png(strip), png(FRAME), b"\xff\xd8\xff no image"]
        one, frame, broken = await server.predict(
            files, options(session, instances=True), deadline=in_seconds(20)
        )
    assert isinstance(broken, InvalidImageError)
    assert isinstance(one, Prediction)
    assert (one.tiles, one.codes[2]["rle"]) == (1, block_rle(5, 6, 7, 8, rows=64))
    assert isinstance(frame, Prediction)
    assert frame.tiles == 9
    np.testing.assert_array_equal(frame.strip, FRAME)
    assert [found.class_id for found in frame.classes] == [2, 5, 9]
    assert [found.present for found in frame.classes] == [True, True, False]
    assert frame.codes[1] == {"rle": block_rle(*LINE, rows=160)}
    assert frame.codes[2] == {"rle": ""}
    assert frame.instances is not None
    # A line across all tiles is one defect.
    assert [(one.class_id, one.bbox) for one in frame.instances] == [(2, (230, 150, 10, 10)), (5, LINE)]
    assert frame.verdict.name == "defect"
    assert frame.timing.inference.seconds > 0
    assert frame.timing.queue.seconds >= 0


def test_without_a_queue_it_is_the_same(session: OrtSession) -> None:
    rules = ImageRules.of(session.metadata, max_pixels=10**6, check_health=True)
    strip = draw_blocks(TILE, [(VALUES[2], (5, 6, 7, 8))])
    jobs = [Job(png(FRAME), options(session)), Job(png(strip), options(session))]
    frame, one = run_jobs(session, jobs, rules)
    assert isinstance(frame, Prediction)
    assert isinstance(one, Prediction)
    assert frame.codes[1] == {"rle": block_rle(*LINE, rows=160)}
    assert one.codes[2] == {"rle": block_rle(5, 6, 7, 8, rows=64)}


@pytest.mark.parametrize("kind", ["direct", "staged"])
async def test_each_tile_takes_a_place_from_the_beginning(session: OrtSession, kind: str) -> None:
    gate = Gate()
    strip = png(np.zeros(TILE, dtype=np.uint8))
    async with serving(session, kind, places=20, gate=gate) as server:
        first = asyncio.ensure_future(server.predict([png(FRAME)], options(session), deadline=in_seconds(20)))
        await asyncio.sleep(0)
        assert server.pipeline.queue_size == 9
        second = asyncio.ensure_future(
            server.predict([png(FRAME)], options(session), deadline=in_seconds(20))
        )
        await asyncio.sleep(0)
        assert server.pipeline.queue_size == 18
        with pytest.raises(QueueFullError):
            await server.predict([strip] * 3, options(session), deadline=in_seconds(20))
        with pytest.raises(QueueFullError):
            await server.predict([png(FRAME)], options(session), deadline=in_seconds(20))
        gate.opened.set()
        for answer in [*(await first), *(await second)]:
            assert isinstance(answer, Prediction)
            assert answer.codes[1] == {"rle": block_rle(*LINE, rows=160)}
        assert server.pipeline.queue_size == 0
    assert gate.tiles == 18


@pytest.mark.parametrize("kind", ["direct", "staged"])
async def test_a_caller_that_leaves_takes_all_its_tiles_off_the_queue(session: OrtSession, kind: str) -> None:
    gate = Gate()
    async with serving(session, kind, gate=gate) as server:
        asked = asyncio.ensure_future(server.predict([png(FRAME)], options(session), deadline=in_seconds(20)))
        # Those that a thread holds, and those ahead of it, are not waiting any more.
        running = 4 if kind == "staged" else 2
        await settled(server, 9 - running)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await settled(server, 0)
        assert server.pipeline.queue_size == 0
        gate.opened.set()
    assert gate.tiles == running


@pytest.mark.parametrize("kind", ["direct", "staged"])
async def test_a_frame_that_is_late_fails_alone(session: OrtSession, kind: str) -> None:
    gate = Gate()
    async with serving(session, kind, gate=gate) as server:
        late = server.predict([png(FRAME)], options(session), deadline=in_seconds(0.3))
        (answer,) = await late
        assert isinstance(answer, DeadlineExceededError)
        gate.opened.set()
        (answer,) = await server.predict([png(FRAME)], options(session), deadline=in_seconds(20))
        assert isinstance(answer, Prediction)
        assert server.pipeline.queue_size == 0


async def test_frames_that_the_queue_can_never_hold_are_refused_at_once(session: OrtSession) -> None:
    async with serving(session, "direct", places=8) as server:
        strip = png(np.zeros(TILE, dtype=np.uint8))
        frame, other = await server.predict([png(FRAME), strip], options(session), deadline=in_seconds(20))
        assert isinstance(frame, PayloadTooLargeError)
        assert frame.detail == (
            "expected an image of at most 8 tiles of 96x64 pixels, as many as may wait "
            "(STEEL_MAX_QUEUE_SIZE), got 240x160, 9 tiles"
        )
        assert isinstance(other, Prediction)
        wide = png(np.zeros((64, 240), dtype=np.uint8))  # 3 tiles
        with pytest.raises(PayloadTooLargeError, match=r"at most 8 tiles in one request, .* got 9"):
            await server.predict([wide] * 3, options(session), deadline=in_seconds(20))


async def test_a_frame_of_too_many_pixels_is_not_decoded(session: OrtSession) -> None:
    async with serving(session, "direct", max_pixels=38_399) as server:
        (answer,) = await server.predict([png(FRAME)[:60]], options(session), deadline=in_seconds(20))
        assert isinstance(answer, PayloadTooLargeError)
        assert answer.detail == "expected at most 38399 pixels, got a PNG of 240x160 = 38400"


async def test_a_header_that_announces_other_tiles_is_refused(session: OrtSession) -> None:
    rules = ImageRules.of(session.metadata, max_pixels=10**6, check_health=True)
    assert rules.places(Size(240, 160)) == 9
    (answer,) = run_jobs(session, [Job(png(FRAME), options(session), places=1)], rules)
    assert isinstance(answer, InvalidImageError)
    assert answer.detail == "expected 1 tile by the image's header, got 9 in its pixels"


@pytest.mark.parametrize("shape", [(20, 30), (64, 95), (63, 96), (50, 240), (160, 50)])
@pytest.mark.parametrize("kind", ["direct", "staged"])
async def test_a_small_image_is_refused_or_padded(
    session: OrtSession, kind: str, shape: tuple[int, int]
) -> None:
    height, width = shape
    box = (width - 12, height - 10, 12, 10)  # at the corner that is mirrored
    data = png(draw_blocks(shape, [(VALUES[0], box)]))
    async with serving(session, kind) as server:
        (refused,) = await server.predict([data], options(session), deadline=in_seconds(20))
        assert isinstance(refused, InvalidImageError)
        assert refused.detail.startswith(
            f"expected an image of at least 96x64 pixels, got a PNG of {width}x{height}; "
        )
        asked = options(session, pad=True, maps=True, instances=True)
        (padded,) = await server.predict([data], asked, deadline=in_seconds(20))
    assert isinstance(padded, Prediction)
    assert padded.strip.shape == shape
    assert padded.codes[0] == {"rle": block_rle(*box, rows=height)}
    assert [one.bbox for one in padded.instances or []] == [box]
    assert padded.classes[0].area == 120


def watched(session: OrtSession, frame: Strip) -> Prediction:
    """Predict a frame where tiles with too many saturated pixels are not inspected."""
    limits = LIMITS.model_copy(update={"black": (0.0, 1.0), "saturated": (0.0, 0.3)})
    rules = ImageRules(10**6, limits, Size(96, 64), 3)
    (answer,) = run_jobs(session, [Job(png(frame), options(session, instances=True, maps=True))], rules)
    assert isinstance(answer, Prediction)
    return answer


def test_what_was_not_inspected_is_never_ok(session: OrtSession) -> None:
    blind = draw_blocks(SHAPE, [(255, (168, 0, 72, 64)), (30, (0, 0, 40, 160))])
    answer = watched(session, blind)
    assert (answer.verdict.name, answer.inspected) == ("not_inspected", False)
    assert answer.verdict.reason.startswith(
        "1 of 9 tiles not inspected, the first at 144, 0: overexposed: share of saturated pixels"
    )
    assert answer.verdict.reason.endswith("; elsewhere likeliest defect: scale 0.0%")
    assert (list(answer.classes), list(answer.codes)) == ([], [])
    assert (answer.instances, answer.maps, answer.png) == (None, None, None)
    assert answer.health is not None
    assert answer.health.fault == "saturated"


def test_a_defect_elsewhere_is_told(session: OrtSession) -> None:
    blind = draw_blocks(SHAPE, [(255, (168, 0, 72, 64)), (VALUES[1], (10, 100, 20, 20))])
    answer = watched(session, blind)
    assert (answer.verdict.name, answer.inspected) == ("defect", True)
    assert answer.verdict.reason.startswith("crack 100%, 400 px; 1 of 9 tiles not inspected, the first at")
    assert answer.classes[1].present


def test_a_blind_frame_is_not_inspected(session: OrtSession) -> None:
    answer = watched(session, np.full(SHAPE, 255, dtype=np.uint8))
    assert answer.verdict.name == "not_inspected"
    assert answer.verdict.reason.startswith("overexposed: share of saturated pixels 1")
    assert answer.tiles == 9
