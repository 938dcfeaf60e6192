"""A few strips that stand for many."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from model_export.data.labelled_strip import CLEAN, LabelledStrip

Strip = TypeVar("Strip", bound=LabelledStrip)


def spread_by_class(strips: Sequence[Strip], count: int) -> list[Strip]:
    """Choose up to ``count`` strips, of every class and of the clean ones equally many.

    A strip with several classes counts as its rarest. Within a class the choice is even over the list, so
    that neither names nor the order of photographs decide.
    """
    frequency = Counter(kind for strip in strips for kind in strip.classes or {CLEAN})
    cells: dict[int, list[int]] = {}
    for index, strip in enumerate(strips):
        cells.setdefault(min(strip.classes or {CLEAN}, key=lambda kind: frequency[kind]), []).append(index)
    shares = dict.fromkeys(sorted(cells), 0)
    left = min(count, len(strips))
    while left > 0:
        for kind in [kind for kind in shares if shares[kind] < len(cells[kind])][:left]:
            shares[kind] += 1
            left -= 1
    chosen = [
        cells[kind][index]
        for kind, share in shares.items()
        for index in ((2 * number + 1) * len(cells[kind]) // (2 * share) for number in range(share))
    ]
    return [strips[index] for index in sorted(chosen)]
