"""Pictures of validation strips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model_export.training.pictures import Example, draw_example
from model_export.training.train import train
from service.masks.palette import COLOURS
from tests.support.quick_training import TINY


def test_a_picture_has_image_truth_and_prediction() -> None:
    image = np.full((6, 8), 100, dtype=np.uint8)
    truth = np.zeros((2, 6, 8), dtype=np.bool_)
    truth[1, 2, 3] = True
    probability = np.zeros((2, 6, 8), dtype=np.float32)
    probability[0, 4, 5] = 0.5
    rows = draw_example(Example("a.png", image, truth, probability))
    first, gap, second, third = rows[:6], rows[6:10], rows[10:16], rows[20:]
    assert rows.shape == (26, 8, 3)
    assert (first == 100).all()
    assert (gap == 255).all()
    np.testing.assert_allclose(second[2, 3], 40 + 0.6 * np.array(COLOURS[1]), atol=1)
    np.testing.assert_allclose(third[4, 5], 70 + 0.3 * np.array(COLOURS[0]), atol=1)
    assert (np.argwhere((second != 100).any(axis=2)) == [[2, 3]]).all()
    assert (np.argwhere((third != 100).any(axis=2)) == [[4, 5]]).all()


def test_a_training_writes_them_at_each_validation(tmp_path: Path) -> None:
    train(replace(TINY, out=tmp_path, epochs=2, validate_every=1, pictures=3))
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    names = events.Tags()["images"]
    assert len(names) == 3
    for name in names:
        pictures = events.Images(name)
        assert [(one.step, one.width, one.height) for one in pictures] == [(1, 1600, 776), (2, 1600, 776)]
    assert "loss" in events.Tags()["scalars"]
