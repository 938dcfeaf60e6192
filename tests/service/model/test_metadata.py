"""Metadata of a model file."""

import pytest

from service.model.metadata import OperatingPoint
from service.model.postprocess import byte_threshold
from tests.support.tiny_model import tiny_metadata


@pytest.mark.parametrize(
    ("threshold", "level"), [(0, 0), (1, 255), (0.5, 128), (1 / 255, 1), (0.2, 51), (0.6, 153)]
)
def test_byte_threshold(threshold: float, level: int) -> None:
    point = OperatingPoint(class_threshold=(0,) * 4, threshold=(threshold,) * 4, min_area=(0,) * 4)
    assert byte_threshold(point.threshold[2]) == level


def test_metadata_comes_back_from_json() -> None:
    metadata = tiny_metadata()
    assert type(metadata).model_validate_json(metadata.model_dump_json()) == metadata
    assert metadata.golden.strip().shape == (256, 1600)
    assert metadata.profile("none") is None
