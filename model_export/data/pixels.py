"""The strips that a model file has seen, told by their pixels."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from tqdm import tqdm

from model_export.data.digest import strip_digest
from model_export.data.labelled_strip import LabelledStrip
from service.model.metadata import Split


class SplitIds(NamedTuple):
    """Ids of the strips of a split."""

    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]
    ancestors: frozenset[str]
    """Strips that trained what the model started from, or its teachers."""

    @property
    def seen(self) -> frozenset[str]:
        """Strips that shaped the model's weights or tuned its thresholds."""
        return self.train | self.validation | self.ancestors


def split_ids(split: Split) -> SplitIds:
    """Return digests of pixels, or file names where a model file has no digests."""
    ids = [*split.train, *split.validation, *split.test] if split.pixels is None else split.pixels
    first, second = len(split.train), len(split.train) + len(split.validation)
    parts = ids[:first], ids[first:second], ids[second:], split.ancestors
    return SplitIds(*(frozenset(part) for part in parts))


class StripIds:
    """Ids of strips that compare with those of a split; pixels are read once, when they are needed."""

    def __init__(self, strips: Sequence[LabelledStrip]) -> None:
        self.strips = strips

    @cached_property
    def pixels(self) -> list[str]:
        """Digest of each strip's pixels."""
        return [
            strip_digest(strip.load()[0])
            for strip in tqdm(self.strips, "digesting", unit="strip", leave=False, dynamic_ncols=True)
        ]

    def like(self, split: Split) -> list[str]:
        """Return the ids of all strips, of the kind that ``split_ids`` returns."""
        return [strip.name for strip in self.strips] if split.pixels is None else self.pixels


def unseen_strips(strips: Sequence[LabelledStrip], split: Split) -> list[LabelledStrip]:
    """Return the strips that neither shaped a model's weights nor tuned its thresholds."""
    seen = split_ids(split).seen
    return [strip for strip, own in zip(strips, StripIds(strips).like(split), strict=True) if own not in seen]


def with_pixels(splits: Sequence[Split], strips: Sequence[LabelledStrip]) -> list[Split]:
    """Return splits with the digest of each of their strips.

    Args:
        splits: of the strips' names.
        strips: at least those of the splits; each is read once.
    """
    names = {name for split in splits for name in (*split.train, *split.validation, *split.test)}
    listed = [strip for strip in strips if strip.name in names]
    digests = dict(zip([strip.name for strip in listed], StripIds(listed).pixels, strict=True))
    return [
        split.model_copy(
            update={"pixels": tuple(digests[name] for name in (*split.train, *split.validation, *split.test))}
        )
        for split in splits
    ]
