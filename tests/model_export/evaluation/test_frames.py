"""Images of any size, answered as the service answers them."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.evaluation.frames import predict_image
from model_export.evaluation.overlaps import measure_overlaps
from service.model.session import OrtSession
from tests.support.tiny_model import draw_blocks, write_tiny_model

TILE = Tile(64, 96, pad=True)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    """A model of two classes, of the grey values 80 and 160, for small tiles."""
    path: Path = tmp_path_factory.mktemp("m") / "model.onnx"
    return OrtSession(write_tiny_model(path, values=(80, 160), tile=TILE.shape, pad=True))


def test_a_defect_across_tiles_is_whole(session: OrtSession) -> None:
    image = draw_blocks((150, 300), [(80, (60, 40, 120, 60)), (160, (250, 10, 20, 20))])
    prediction = predict_image(session, image, TILE, "a.png")
    assert prediction.plan.count > 4
    truth = np.stack([image == 80, image == 160])
    whole = prediction.whole()
    np.testing.assert_array_equal(whole.masks == 255, truth.transpose(0, 2, 1))
    assert whole.classes.tolist() == [1, 1]
    for one in measure_overlaps(prediction, truth, session.metadata.profiles[0]):
        assert one.predicted == one.true == one.intersection > 0
        assert one.instances == (1, 1, 1)


def test_a_padded_image_is_answered_in_its_own_size(session: OrtSession) -> None:
    image = draw_blocks((50, 70), [(80, (60, 40, 10, 10))])  # at the corner, so that it is mirrored
    prediction = predict_image(session, image, TILE, "a.png")
    assert prediction.whole().masks.shape == (2, 70, 50)
    found, nothing = prediction.at(session.metadata.profiles[0], (3, 9))
    assert (found.class_id, found.area, nothing.present) == (3, 100, False)
    with pytest.raises(DataError, match=r"a\.png: expected at least 96x64 pixels"):
        predict_image(session, image, TILE._replace(pad=False), "a.png")
