"""The strips of the benchmark with their expected answers."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from bench.jobs import Job
from bench.pipeline import Pipeline
from model_export.data.kaggle import read_kaggle
from model_export.data.synthetic import drawn_strips
from service.geometry import Strip
from service.model.session import OrtSession

_SEED = 2026
_QUALITY = 92
_SEARCHED = 200

S = TypeVar("S")


def image_files(data: Path | None, count: int) -> list[bytes]:
    """Read or draw image files, alternately with and without defects by their labels.

    Args:
        data: a folder in Kaggle's layout, whose files are used unchanged; None draws strips.
        count: number of files; fewer are returned if the folder holds fewer.
    """
    if data is not None:
        strips = read_kaggle(data)
        chosen = _halves([s for s in strips if s.classes], [s for s in strips if not s.classes], count)
        return [strip.path.read_bytes() for strip in chosen]
    # Every fifth drawn strip is clean.
    drawn = drawn_strips(5 * count, _SEED)
    picked = _halves([s for s in drawn if s.classes], [s for s in drawn if not s.classes], count)
    return [jpeg(strip.load()[0]) for strip in picked]


def clean_jobs(jobs: Sequence[Job], data: Path | None, session: OrtSession) -> list[Job]:
    """Return strips on which no class passes its threshold, from ``jobs`` or else from more strips.

    If there are none, return those on which the fewest classes pass.
    """
    found = jobs
    if all(job.passed for job in jobs):
        found = build_jobs(image_files(data, _SEARCHED)[1::2], session)
    fewest = min(job.passed for job in found)
    return [job for job in found if job.passed == fewest]


def build_jobs(files: Sequence[bytes], session: OrtSession) -> list[Job]:
    """Compute the expected answers in this process, with the functions of the service."""
    pipeline = Pipeline(session)
    jobs = []
    for data in files:
        found = pipeline.predict(data)
        passed = sum(
            one.probability >= least for one, least in zip(found, pipeline.point.class_threshold, strict=True)
        )
        jobs.append(Job(data, tuple((one.present, one.rle) for one in found), passed))
    return jobs


def jpeg(strip: Strip) -> bytes:
    """Encode a strip as a camera does."""
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _halves(defective: Sequence[S], clean: Sequence[S], count: int) -> list[S]:
    half = min(count // 2, len(defective), len(clean))
    return [strip for pair in zip(defective[:half], clean[:half], strict=True) for strip in pair]
