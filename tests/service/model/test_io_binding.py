"""Bound runs, here on the CPU device."""

from pathlib import Path

import numpy as np
import pytest

from service.model.io_binding import BoundRuns
from service.model.providers import open_cpu
from service.model.repository import read_model
from service.model.session import bind
from tests.support.tiny_model import block_strip, tiny_metadata


def bound_runs(path: Path, sizes: tuple[int, ...]) -> BoundRuns:
    session = open_cpu(read_model(path), threads=1)
    return bind(session, tiny_metadata(), device="cpu", batch_sizes=sizes, graphs=False)


def test_bound_runs_answer_as_plain_ones_and_answers_outlive_the_next_run(tiny_model: Path) -> None:
    plain, bound = open_cpu(read_model(tiny_model), threads=1), bound_runs(tiny_model, (1, 2))
    seen: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
    for size in (1, 2, 1, 2):
        number = len(seen)
        images = np.stack([block_strip(c1=(10 * number + row, 5, 3, 4)) for row in range(size)])
        names = ["class_probability", "mask_probability"]
        seen.append((bound.run(images), plain.run(names, {"image": images})))
    for found, expected in seen:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_size_that_was_not_prepared_is_a_bug(tiny_model: Path) -> None:
    with pytest.raises(KeyError):
        bound_runs(tiny_model, (1, 2)).run(np.zeros((3, 256, 1600), dtype=np.uint8))
