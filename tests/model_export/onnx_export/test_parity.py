"""What differences between a file and its network mean."""

from collections.abc import Sequence

import numpy as np
import pytest

from model_export.data.tile import Tile
from model_export.errors import ParityError, PrecisionLossError
from model_export.onnx_export.parity import Comparison, StripDifference, compare_with_torch
from service.geometry import Strip
from service.model.session import OrtSession, Probabilities
from tests.support.tiny_model import block_strip

NAN = float("nan")
IDS = (1, 2, 3, 4)


def difference(
    name: str, class_id: int = 1, dice: tuple[float, float] = (0.8, 0.8), off: float = 0.0
) -> StripDifference:
    """A strip with one class; its Dice in torch and in the file, and by how much its probability is off."""
    dices = np.full((2, 4), NAN)
    dices[:, class_id - 1] = dice
    classes = np.zeros((2, 4), dtype=np.float32)
    classes[:, class_id - 1] = 0.9, 0.9 - off
    return StripDifference(name, IDS, (classes[0], classes[1]), (dices[0], dices[1]), 3, 1.0)


def test_one_rare_strip_does_not_decide() -> None:
    strips = [difference(str(number)) for number in range(20)]
    lost = difference("rare", class_id=2, dice=(0.7, 0.0), off=0.4)
    Comparison("int8", (*strips, lost)).check()
    assert Comparison("int8", (*strips, lost)).parity().max_dice_difference == pytest.approx(0.7)


def test_a_loss_on_many_strips_is_one_and_the_worst_are_named() -> None:
    strips = [difference(str(number), dice=(0.8, 0.74)) for number in range(20)]
    lost = difference("rare.png", class_id=2, dice=(0.7, 0.0), off=0.4)
    with pytest.raises(
        PrecisionLossError,
        match=r"Most different: rare\.png: class 2 has probability 0\.500 instead of 0\.900, class 2 Dice "
        r"0\.000 instead of 0\.700; 0: ",
    ):
        Comparison("int8", (*strips, lost)).check()


def test_a_float32_file_that_differs_is_wrong() -> None:
    strips = tuple(difference(str(number), off=0.01) for number in range(20))
    Comparison("int8", strips).check()
    with pytest.raises(ParityError) as caught:
        Comparison("fp32", strips).check()
    assert not isinstance(caught.value, PrecisionLossError)
    clean = StripDifference("c", IDS, (np.zeros(4, np.float32),) * 2, (np.full(4, NAN),) * 2, 0, 1.0)
    assert "Dice" not in str(clean)
    broken = StripDifference("b", IDS, (np.full(4, NAN, np.float32),) * 2, clean.dice, 0, 1.0)
    with pytest.raises(ParityError, match="nan in the mean"):
        Comparison("fp32", (clean, broken)).check()


def test_folds_are_judged_together() -> None:
    parts = [Comparison("int8", (difference(str(number)),)) for number in range(3)]
    assert [strip.name for strip in Comparison.join(parts).strips] == ["0", "1", "2"]


def test_strips_are_compared_pixel_by_pixel(tiny_session: OrtSession) -> None:
    class Truth:
        name, classes = "a", frozenset({0})

        def load(self) -> tuple[np.ndarray, np.ndarray]:
            masks = np.zeros((4, 256, 1600), dtype=np.bool_)
            masks[0, 10:30, 105:115] = True
            return block_strip(c1=(105, 10, 10, 20)), masks

    class Worse:
        def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
            (classes, masks) = tiny_session.infer(strips)[0]
            masks = masks.copy()
            masks[0, 110:] = 0
            return [Probabilities(classes - np.float32(0.1), masks)]

    point = tiny_session.metadata.profiles[0]
    (found,) = compare_with_torch(tiny_session, Worse(), [Truth()], Tile(256, 1600), point, IDS).strips
    assert found.class_probability == pytest.approx(0.1)
    assert found.dice_loss[0] == pytest.approx(1 - 2 * 100 / 300)
    assert found.mask_byte == 255
    assert found.equal_pixels == pytest.approx(1 - 100 / (4 * 256 * 1600))
