"""A tiny model of another mill: small tiles, three classes with ids of their own."""

from pathlib import Path

from service.model.metadata import DefectClass, HealthLimits
from tests.support.tiny_model import tiny_graph, tiny_metadata, write_model

TILE = (64, 96)
"""Rows and columns."""
VALUES = (60, 120, 180)
KINDS = (
    DefectClass(id=2, name="scale"),
    DefectClass(id=5, name="crack"),
    DefectClass(id=9, name="hole"),
)


def write_mill_model(
    path: Path, *, pad: bool = False, min_area: int = 1, health: HealthLimits | None = None
) -> Path:
    """Write the model with a minimum area for each class, and limits of health."""
    metadata = tiny_metadata(values=VALUES, tile=TILE, kinds=KINDS, pad=pad)
    profiles = [
        profile.model_copy(update={"min_area": (min_area,) * len(KINDS)}) for profile in metadata.profiles
    ]
    metadata = metadata.model_copy(update={"profiles": tuple(profiles), "health": health})
    return write_model(path, tiny_graph(VALUES, TILE), metadata.model_dump_json())
