"""Both ways through the stages give every file its own answer or its own error."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.errors import InferenceError, InvalidImageError
from service.geometry import Strip
from service.inference.batcher import Batcher
from service.inference.pipelines import DirectPipeline, Pipeline, StagedPipeline
from service.inference.prediction import (
    ImageRules,
    Inferred,
    InferredTile,
    Job,
    Prediction,
    PredictOptions,
    Tile,
    infer_mixed,
    run_batch,
    run_jobs,
)
from service.model.postprocess import ClassMask
from service.model.session import OrtSession
from service.model.verdict import Review
from tests.support.images import png
from tests.support.tiny_model import block_rle, block_strip, tiny_metadata

pytestmark = pytest.mark.anyio

RULES = ImageRules.of(tiny_metadata(), max_pixels=1_000_000, check_health=False)


def job(session: OrtSession, left: int) -> Job:
    return Job(png(block_strip(c1=(left, 5, 4, 6))), PredictOptions(session.metadata.profiles[0], "rle"))


async def answers(pipeline: Pipeline, jobs: Sequence[Job]) -> list[Prediction | BaseException]:
    deadline = asyncio.get_running_loop().time() + 20
    futures = pipeline.put_all(jobs, deadline)
    assert pipeline.queue_size == len(jobs)
    return await asyncio.gather(*futures, return_exceptions=True)


@pytest.mark.parametrize("kind", ["staged", "whole"])
async def test_a_broken_file_fails_alone_and_the_others_get_their_own_masks(
    kind: str, tiny_session: OrtSession
) -> None:
    jobs = [job(tiny_session, 10), Job(b"\xff\xd8\xff no strip", job(tiny_session, 0).options)]
    jobs += [job(tiny_session, left) for left in (30, 50)]
    review = Review.by(tiny_session.metadata)
    with ThreadPoolExecutor(2) as threads:
        if kind == "staged":
            staged: Batcher[Strip | Tile, Inferred | InferredTile] = Batcher(
                lambda strips: infer_mixed(tiny_session, strips),
                threads,
                max_batch_size=4,
                batch_timeout=0,
                max_queue_size=8,
            )
            async with staged:
                found = await answers(StagedPipeline(staged, threads, RULES, review), jobs)
        else:
            whole: Batcher[Job | Tile, Prediction | InferredTile] = Batcher(
                lambda batch: run_batch(tiny_session, batch, RULES),
                threads,
                max_parallel_runs=2,
                max_batch_size=4,
                batch_timeout=0,
                max_queue_size=8,
            )
            async with whole:
                found = await answers(DirectPipeline(whole, threads, RULES, review), jobs)
    assert isinstance(found.pop(1), InvalidImageError)
    for one, left in zip(found, (10, 30, 50), strict=True):
        assert isinstance(one, Prediction)
        assert one.codes[0] == {"rle": block_rle(left, 5, 4, 6)}
        assert one.timing.decode.seconds > 0
        assert one.timing.inference.cpu_seconds >= 0
        assert one.timing.queue.seconds >= 0


def test_a_batch_of_broken_files_never_reaches_the_model(tiny_session: OrtSession) -> None:
    (found,) = run_jobs(tiny_session, [Job(b"", job(tiny_session, 0).options)], RULES)
    assert isinstance(found, InvalidImageError)


def test_a_bug_behind_the_model_is_one_files_misfortune(
    tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_classes: object, masks: np.ndarray, *_: object) -> list[object]:
        if masks[0, 30, 5]:
            raise MemoryError("no room")
        return [ClassMask(number, 0.0, False, 0, None) for number in (1, 2, 3, 4)]

    monkeypatch.setattr("service.inference.prediction.apply_operating_point", breaks)
    good, bad = run_jobs(tiny_session, [job(tiny_session, 10), job(tiny_session, 30)], RULES)
    assert isinstance(good, Prediction)
    assert isinstance(bad, InferenceError)
    assert isinstance(bad.__cause__, MemoryError)
