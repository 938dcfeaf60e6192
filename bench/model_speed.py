"""Milliseconds per strip of the default model and of the textbook network, in one onnxruntime."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from bench.jobs import Job
from bench.textbook import INPUT_SHAPE, export_textbook
from service.geometry import Strip
from service.images.decode import decode
from service.model.cpu_quota import cpu_quota
from service.model.session import OrtSession

_STRIPS_OF_A_KIND = 5


@dataclass(frozen=True)
class ModelSpeed:
    """Median milliseconds per strip at one number of threads."""

    threads: int
    rounds: int
    textbook_ms: float
    defective_ms: float
    clean_ms: float

    @property
    def defective_ratio(self) -> float:
        """Speed on a strip with a defect, relative to the textbook network."""
        return self.textbook_ms / self.defective_ms

    @property
    def clean_ratio(self) -> float:
        """Speed on a clean strip, relative to the textbook network."""
        return self.textbook_ms / self.clean_ms


def measure_model(
    model: Path,
    textbook: Path,
    defective: Sequence[Job],
    clean: Sequence[Job],
    threads: int,
    rounds: int,
) -> ModelSpeed:
    """Time the networks in turn in one loop.

    Args:
        model: the served model, run by the service's session.
        textbook: ONNX file of the textbook network; written if it is missing.
        defective: strips on which the model finds a defect.
        clean: strips on which it finds none.
        threads: threads of each session.
        rounds: number of measurements of each.
    """
    if not textbook.is_file():
        export_textbook(textbook)
    ours = OrtSession(model, device="cpu", threads=threads)
    theirs = _open(textbook, threads)
    tile = ours.metadata.height * ours.metadata.width
    with_defect, without = _strips(defective, tile), _strips(clean, tile)
    picture = np.random.default_rng(0).random(INPUT_SHAPE, dtype=np.float32)
    works: tuple[Callable[[int], object], ...] = (
        lambda _: theirs.run(None, {"image": picture}),
        lambda number: ours.infer([with_defect[number % len(with_defect)]]),
        lambda number: ours.infer([without[number % len(without)]]),
    )
    times: tuple[list[float], ...] = ([], [], [])
    for number in range(rounds):
        for work, found in zip(works, times, strict=True):
            work(number)  # warms the caches and outlasts the spinning threads of the other session
            started = time.perf_counter()
            work(number)
            found.append(1000 * (time.perf_counter() - started))
    textbook_ms, defective_ms, clean_ms = (statistics.median(found) for found in times)
    return ModelSpeed(threads, rounds, textbook_ms, defective_ms, clean_ms)


def thread_counts() -> list[int]:
    """Return the numbers of threads to measure: one, and all."""
    return sorted({1, cpu_quota()})


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _strips(jobs: Sequence[Job], max_pixels: int) -> list[Strip]:
    return [decode(job.jpeg, max_pixels=max_pixels) for job in jobs[:_STRIPS_OF_A_KIND]]
