"""TensorBoard's log: what is written is what TensorBoard reads."""

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model_export.training.board import Board


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_numbers_and_pictures(tmp_path: Path) -> None:
    board = Board(tmp_path / "log", 0)
    for epoch in (1, 2):
        board.add_scalar("loss", 1 / epoch, epoch)
    board.add_picture("a.png", np.zeros((6, 8, 3), dtype=np.uint8), 2)
    board.close()
    events = read(tmp_path / "log")
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    (picture,) = events.Images("a.png")
    assert (picture.step, picture.width, picture.height) == (2, 8, 6)
    assert picture.encoded_image_string.startswith(b"\x89PNG")


def test_epochs_that_run_again_replace_the_first_ones(tmp_path: Path) -> None:
    for start, values in ((0, (5.0, 4.0, 3.0)), (1, (2.0, 1.0))):
        board = Board(tmp_path, start)
        for number, value in enumerate(values, start + 1):
            board.add_scalar("loss", value, number)
        board.close()
    assert [(one.step, one.value) for one in read(tmp_path).Scalars("loss")] == [(1, 5.0), (2, 2.0), (3, 1.0)]
