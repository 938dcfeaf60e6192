"""The classes of a data set."""

from pathlib import Path

import pytest

from model_export.data import severstal
from model_export.data.classes import check_same, read_classes, write_classes
from model_export.errors import DataError
from service.model.metadata import DefectClass

WELD, HOLE = DefectClass(id=30, name="weld seam"), DefectClass(id=7, name="Löcher")


def test_classes_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    assert read_classes(tmp_path) == severstal.CLASSES
    write_classes([WELD, HOLE], tmp_path)
    assert read_classes(tmp_path) == (HOLE, WELD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"expected a list like .*got Expecting property name"),
        ('{"1": "a"}', r"expected a list like .*got : Input should be a valid list"),
        ('[{"id": 0, "name": "a"}]', r"got 0\.id: Input should be greater than or equal to 1"),
        ('[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]', "expected classes with ids of their own, got 1"),
        ('[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]', "with names of their own, got 'a' twice"),
        ("[]", "expected 1 to 32 classes, got 0"),
    ],
)
def test_a_list_that_is_none(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path)


def test_data_of_other_classes_than_the_models_is_refused(tmp_path: Path) -> None:
    renamed = tuple(kind.model_copy(update={"name": f"kind {kind.id}"}) for kind in severstal.CLASSES)
    check_same(renamed, tmp_path, "the model")  # a folder without names only has ids to compare
    with pytest.raises(DataError, match=r"expected 7 Löcher; got 1 pitting.*, since it has no classes\.json"):
        check_same((HOLE,), tmp_path, "the model")
    write_classes([HOLE], tmp_path)
    check_same((HOLE,), tmp_path, "the model")
    with pytest.raises(DataError, match=r"has other classes than the model: expected 7 hole; got 7 Löcher$"):
        check_same((DefectClass(id=7, name="hole"),), tmp_path, "the model")
