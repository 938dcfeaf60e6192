"""Curves over thresholds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.tile import Tile
from model_export.evaluation.curves import count_at_or_above, measure_curves
from service.model.postprocess import apply_operating_point
from service.model.session import OrtSession
from tests.support.tiny_model import block_strip


@given(st.lists(st.integers(0, 255), max_size=40))
def test_counts_at_or_above_each_byte(values: list[int]) -> None:
    counts = count_at_or_above(np.array(values, dtype=np.uint8))
    assert counts.tolist() == [sum(value >= byte for value in values) for byte in range(256)]


def test_curves_count_what_segment_finds(tiny_session: OrtSession) -> None:
    class Truth:
        name, classes = "a", frozenset({0})

        def load(self) -> tuple[np.ndarray, np.ndarray]:
            masks = np.zeros((4, 256, 1600), dtype=np.bool_)
            masks[0, 10:30, 100:110] = True
            return block_strip(c1=(105, 10, 10, 20)), masks

    curves = measure_curves(tiny_session, [Truth()], Tile(256, 1600))
    assert curves.true[0].tolist() == [200, 0, 0, 0]
    assert set(curves.predicted[0, 0, 1:].tolist()) == {200}
    assert set(curves.intersection[0, 0, 1:].tolist()) == {100}
    assert curves.predicted[0, 0, 0] == 256 * 1600
    answer = tiny_session.infer([Truth().load()[0]])[0]
    found = apply_operating_point(
        answer.classes, answer.masks, tiny_session.metadata.profiles[0], tiny_session.metadata.class_ids
    )
    assert found[0].area == curves.predicted[0, 0, 128]
