"""The session: real onnxruntime on the tiny model."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.model.loading import prove
from service.model.providers import CPU
from service.model.session import OrtSession, batch_sizes
from tests.support.tiny_model import block_strip


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_every_strip_gets_its_own_answer_at_any_count(tiny_session: OrtSession, count: int) -> None:
    strips = [block_strip(c1=(10 + number, 5, 1, 1), c3=(20, number, 2, 1)) for number in range(count)]
    answers = tiny_session.infer(strips)
    assert len(answers) == count
    for number, (classes, masks) in enumerate(answers):
        assert classes.dtype == np.float32
        assert masks.dtype == np.uint8
        assert classes.tolist() == [1, 0, 1, 0]
        expected = np.zeros((4, 1600, 256), dtype=np.uint8)
        expected[0, 10 + number, 5] = 255
        expected[2, 20:22, number] = 255
        np.testing.assert_array_equal(masks, expected)


def test_it_says_what_it_is(tiny_session: OrtSession, tiny_model: Path) -> None:
    assert tiny_session.metadata.name == "tiny"
    assert tiny_session.provider == CPU
    assert tiny_session.fallback_reason is None
    assert len(tiny_session.sha256) == 64
    assert OrtSession(tiny_model, device="cpu").batch_sizes == (1,)


def test_it_proves_itself_and_warms_up_every_size(tiny_session: OrtSession) -> None:
    prove(tiny_session)
    tiny_session.warm_up()


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))],
)
def test_batch_sizes(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


def test_a_failing_run_is_an_error_and_no_silent_change_of_provider(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, object] = {}
    real = onnxruntime.InferenceSession

    def create(*positional: object, **named: object) -> object:
        arguments.update(named)
        return real(*positional, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    OrtSession(tiny_model)
    assert arguments["enable_fallback"] == 0
