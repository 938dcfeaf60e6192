"""Strips told apart by their pixels."""

from dataclasses import dataclass

import numpy as np

from model_export.data.labelled_strip import Masks
from model_export.data.pixels import StripIds, split_ids, unseen_strips, with_pixels
from model_export.data.severstal import HEIGHT, WIDTH
from service.geometry import Strip
from service.model.metadata import Split


@dataclass(frozen=True)
class Grey:
    """A strip of one grey value."""

    name: str
    value: int
    classes: frozenset[int] = frozenset()

    def load(self) -> tuple[Strip, Masks]:
        return np.full((HEIGHT, WIDTH), self.value, np.uint8), np.zeros((4, HEIGHT, WIDTH), np.bool_)


SPLIT = Split(strategy="", seed=0, train=("a", "b"), validation=("c",), test=("d",))
STRIPS = [Grey(name, value) for value, name in enumerate("abcd")]


def test_a_strip_is_known_under_another_name_and_a_name_is_no_strip() -> None:
    (split,) = with_pixels([SPLIT], STRIPS)
    copy, other, test = Grey("copy.png", 0), Grey("a", 9), Grey("d", 3)
    assert unseen_strips([copy, other, test], split) == [other, test]
    assert [len(part) for part in split_ids(split)] == [2, 1, 1, 0]
    teacher = split.model_copy(update={"ancestors": (StripIds([other]).pixels[0],)})
    assert unseen_strips([copy, other, test], teacher) == [test]
    assert Split.model_validate_json(split.model_dump_json()) == split


def test_files_without_hashes_go_by_name() -> None:
    copy, other = Grey("copy.png", 0), Grey("a", 9)
    assert unseen_strips([copy, other], SPLIT) == [copy]
    assert split_ids(SPLIT).seen == {"a", "b", "c"}
