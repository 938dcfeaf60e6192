"""What a data set lacks, said before training begins."""

from collections.abc import Sequence

from model_export.data.classes import Classes, listed
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile
from service.errors import counted
from service.model.metadata import Split

_FEW = 5
"""Training strips with a class, below which its scores say little."""


def describe(classes: Classes, tile: Tile, split: Split) -> str:
    """Return what is trained, in a line."""
    counts = f"{len(split.train)} strips train, {len(split.validation)} validate, {len(split.test)} test"
    padded = ", smaller images padded" if tile.pad else ""
    return f"{listed(classes)}; tiles of {tile}{padded}; {counts} ({split.strategy})"


def remark(
    train: Sequence[LabelledStrip], validation: Sequence[LabelledStrip], classes: Classes
) -> list[str]:
    """Return a line for each thing that training strips lack and that the model will lack for it.

    Args:
        train: strips that train.
        validation: strips that choose the checkpoint and the thresholds; none with ``--fold``.
        classes: of the data set.
    """
    if not any(strip.classes for strip in train):
        return [
            f"none of the {counted(len(train), 'training strip')} holds a defect: the model will find none"
        ]
    lines = []
    if len(train) == 1:
        lines.append("a single strip trains: the model will know this one and no other")
    for position, kind in enumerate(classes):
        count, chosen = (_holding(strips, position) for strips in (train, validation))
        name = f"class {kind.id} {kind.name}"
        if not count:
            lines.append(f"{name}: no training strip holds it, so the model will not find it")
        elif validation and not chosen:
            lines.append(
                f"{name}: {_hold(count, 'training strip')} it and no validation strip does, so its "
                "thresholds are a guess"
            )
        elif count < _FEW:
            lines.append(f"{name}: only {_hold(count, 'training strip')} it")
    if all(strip.classes for strip in train):
        lines.append("no training strip is clean: expect false alarms on steel without any defect")
    elif validation and all(strip.classes for strip in validation):
        lines.append("no validation strip is clean: false alarms are not measured on clean steel")
    return lines


def _holding(strips: Sequence[LabelledStrip], position: int) -> int:
    return sum(position in strip.classes for strip in strips)


def _hold(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'holds' if count == 1 else 'hold'}"
