"""The captions of classes."""

from collections.abc import Iterator, Sequence

from service.masks.overlay import class_caption
from service.masks.palette import COLOURS
from service.model.metadata import DefectClass


def caption(kind: DefectClass) -> str:
    """Return the caption of a class: its id and its name."""
    return class_caption(kind.id, kind.name)


def colour(position: int) -> str:
    """Return the overlay's colour of a class by its position."""
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[position])


def numbered(classes: Sequence[DefectClass]) -> Iterator[tuple[int, str]]:
    """Yield position and caption of each class."""
    return ((position, caption(kind)) for position, kind in enumerate(classes))
