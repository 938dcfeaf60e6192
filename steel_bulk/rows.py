"""The rows: what a caller of /predict gets, a column for each class and number."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from service.api.responses import image_result
from service.errors import ServiceError
from service.geometry import CLASS_COUNT
from service.inference.prediction import Prediction
from service.model.metadata import ModelMetadata
from steel_bulk.manifest import Terms

_CLASS_FIELDS = (
    ("present", pa.bool_()),
    ("probability", pa.float64()),
    ("area", pa.int32()),
    ("rle", pa.string()),
)

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("status", pa.int16()),
        ("error", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("defect", pa.bool_()),
        ("defect_probability", pa.float64()),
        *(
            (f"{field}_{number}", kind)
            for number in range(1, CLASS_COUNT + 1)
            for field, kind in _CLASS_FIELDS
        ),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("model_sha256", pa.string()),
        ("profile", pa.string()),
        ("class_threshold", pa.list_(pa.float64())),
        ("threshold", pa.list_(pa.float64())),
        ("min_area", pa.list_(pa.int32())),
    ]
)

Row = dict[str, Any]


class UnreadableError(Exception):
    """A file that is not there or may not be read; trying again does not help."""


def row(name: str, result: Prediction | ServiceError | UnreadableError, metadata: ModelMetadata) -> Row:
    """Write one strip's answer or refusal as a row without the columns that all rows share."""
    if isinstance(result, UnreadableError):
        return {"file": name, "error": str(result)}
    if isinstance(result, ServiceError):
        return {"file": name, "status": result.status, "error": f"{result.title}: {result.detail}"}
    answer = image_result(name, result, metadata.classes, "", None)
    classes = {
        f"{field}_{found.class_id}": getattr(found, field)
        for found in answer.classes or ()
        for field, _ in _CLASS_FIELDS
    }
    shared = answer.model_dump(
        include={"status", "sha256", "width", "height", "defect", "defect_probability"}
    )
    return {"file": name, **shared, **classes}


def table(rows: Sequence[Row], terms: Terms) -> pa.Table:
    """Lay rows out as columns, those that all share added."""
    shared: Row = {
        "model": terms.model.name,
        "model_version": terms.model.version,
        "model_sha256": terms.model.sha256,
        "profile": terms.profile.name,
        "class_threshold": terms.profile.class_threshold,
        "threshold": terms.profile.threshold,
        "min_area": terms.profile.min_area,
    }
    return pa.Table.from_pylist([{**one, **shared} for one in rows], schema=SCHEMA)
