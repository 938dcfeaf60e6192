"""What a data set lacks is said before training."""

from dataclasses import dataclass

from model_export.data.labelled_strip import Masks
from model_export.data.tile import Tile
from model_export.training.remarks import describe, remark
from service.geometry import Strip
from service.model.metadata import DefectClass, Split

CLASSES = (DefectClass(id=4, name="oil"), DefectClass(id=9, name="hole"))


@dataclass(frozen=True)
class Named:
    """A strip of which only the classes matter."""

    classes: frozenset[int]
    name: str = "a.png"

    def load(self) -> tuple[Strip, Masks]:
        raise AssertionError("opens an image")


def strips(*kinds: set[int]) -> list[Named]:
    return [Named(frozenset(kind)) for kind in kinds]


CLEAN, OIL, BOTH = set[int](), {0}, {0, 1}


def test_a_full_data_set_needs_no_remark() -> None:
    assert remark(strips(*[BOTH] * 5, CLEAN), strips(BOTH, CLEAN), CLASSES) == []


def test_each_thing_that_lacks_has_its_line() -> None:
    assert remark(strips(*[OIL] * 5, CLEAN), [], CLASSES) == [
        "class 9 hole: no training strip holds it, so the model will not find it"
    ]
    assert remark(strips(*[OIL] * 5, BOTH, CLEAN), strips(OIL, CLEAN), CLASSES) == [
        "class 9 hole: 1 training strip holds it and no validation strip does, so its thresholds are a guess"
    ]
    assert remark(strips(*[OIL] * 5, BOTH, CLEAN), [], CLASSES) == [
        "class 9 hole: only 1 training strip holds it"
    ]
    assert remark(strips(*[BOTH] * 5), [], CLASSES) == [
        "no training strip is clean: expect false alarms on steel without any defect"
    ]
    assert remark(strips(*[BOTH] * 5, CLEAN), strips(BOTH), CLASSES) == [
        "no validation strip is clean: false alarms are not measured on clean steel"
    ]
    assert remark(strips(CLEAN, CLEAN), [], CLASSES) == [
        "none of the 2 training strips holds a defect: the model will find none"
    ]
    assert remark(strips(BOTH), [], CLASSES)[0].startswith("a single strip trains")


def test_a_training_is_described_in_a_line() -> None:
    split = Split(strategy="by hand", seed=0, train=("a", "b"), validation=("c",), test=())
    assert describe(CLASSES, Tile(64, 96, pad=True), split) == (
        "4 oil, 9 hole; tiles of 96x64, smaller images padded; 2 strips train, 1 validate, 0 test (by hand)"
    )
