"""Metadata of a model file."""

import re

import pytest
from pydantic import ValidationError

from service.model.metadata import ModelMetadata, OperatingPoint
from service.model.postprocess import byte_threshold
from tests.support.tiny_model import tiny_metadata


@pytest.mark.parametrize(
    ("threshold", "level"), [(0, 0), (1, 255), (0.5, 128), (1 / 255, 1), (0.2, 51), (0.6, 153)]
)
def test_byte_threshold(threshold: float, level: int) -> None:
    point = OperatingPoint(class_threshold=(0,) * 4, threshold=(threshold,) * 4, min_area=(0,) * 4)
    assert byte_threshold(point.threshold[2]) == level


def changed(**fields: object) -> dict[str, object]:
    return tiny_metadata().model_dump() | fields


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"gate": (0.1,) * 3}, "expected 4 values in gate, one per class, got 3"),
        ({"review_bands": ((0.1, 0.2),) * 5}, "expected 4 values in review_bands, one per class, got 5"),
        (
            {"classes": [{"id": k, "name": f"kind {k}"} for k in range(1, 4)]},
            "expected 3 values in golden.class_probability, one per class, got 4",
        ),
        (
            {"classes": [{"id": k, "name": f"kind {k}"} for k in (1, 3, 2, 4)]},
            "expected classes of different names in ascending order of ids",
        ),
        ({"classes": [{"id": k, "name": "scratch"} for k in range(1, 5)]}, "classes of different names"),
        ({"classes": []}, "classes"),
        ({"height": 250}, "height"),
        ({"width": 0}, "width"),
    ],
)
def test_classes_and_sizes_that_do_not_fit_are_refused(fields: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(wrong)):
        ModelMetadata.model_validate(changed(**fields))


def test_ids_need_not_be_consecutive() -> None:
    classes = [{"id": k, "name": f"kind {k}"} for k in (2, 5, 17, 900)]
    assert ModelMetadata.model_validate(changed(classes=classes)).classes[3].id == 900


def test_metadata_comes_back_from_json() -> None:
    metadata = tiny_metadata()
    assert type(metadata).model_validate_json(metadata.model_dump_json()) == metadata
    assert metadata.golden.strip().shape == (256, 1600)
    assert metadata.profile("none") is None
