"""Rows of the Parquet files: the answers of /predict, one column per class and field."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from service.api.responses import image_result
from service.errors import ServiceError
from service.inference.prediction import Prediction
from service.model.metadata import DefectClass, ModelMetadata
from service.model.verdict import Verdict, not_inspected
from steel_bulk.manifest import RunSpec

_CLASS_FIELDS = (
    ("present", pa.bool_()),
    ("probability", pa.float64()),
    ("area", pa.int32()),
    ("rle", pa.string()),
)

CLASSES = "steel_classes"
"""Key of the file's metadata with ids and names of the classes, JSON."""


def schema(classes: Sequence[DefectClass]) -> pa.Schema:
    """Return the columns of the answers of a model with these classes; a column of a class has its id."""
    fields: list[tuple[str, pa.DataType]] = [
        ("file", pa.string()),
        ("status", pa.int16()),
        ("error", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("defect", pa.bool_()),
        ("defect_probability", pa.float64()),
        *((f"{field}_{one.id}", kind) for one in classes for field, kind in _CLASS_FIELDS),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("model_sha256", pa.string()),
        ("profile", pa.string()),
        ("class_threshold", pa.list_(pa.float64())),
        ("threshold", pa.list_(pa.float64())),
        ("min_area", pa.list_(pa.int32())),
    ]
    names = json.dumps([one.model_dump() for one in classes], ensure_ascii=False)
    return pa.schema(fields, metadata={CLASSES: names})


Row = dict[str, Any]


class UnreadableError(Exception):
    """A file that does not exist or may not be read; a retry does not help."""


def make_row(name: str, result: Prediction | ServiceError | UnreadableError, metadata: ModelMetadata) -> Row:
    """Return one strip's answer or refusal as a row, without the columns that all rows share."""
    if isinstance(result, UnreadableError):
        verdict = not_inspected(str(result))
        return {"file": name, "error": verdict.reason, **_columns(verdict)}
    if isinstance(result, ServiceError):
        verdict = not_inspected(f"{result.title}: {result.detail}")
        return {"file": name, "status": result.status, "error": verdict.reason, **_columns(verdict)}
    answer = image_result(name, result, metadata.classes, "", None)
    classes = {
        f"{field}_{found.class_id}": getattr(found, field)
        for found in answer.classes or ()
        for field, _ in _CLASS_FIELDS
    }
    shared = answer.model_dump(
        include={"status", "sha256", "width", "height", "verdict", "reason", "defect", "defect_probability"}
    )
    return {"file": name, **shared, **classes}


def _columns(verdict: Verdict) -> Row:
    return {"verdict": verdict.name, "reason": verdict.reason}


def make_table(rows: Sequence[Row], spec: RunSpec, classes: Sequence[DefectClass]) -> pa.Table:
    """Return rows as a table, with the columns that all share."""
    shared: Row = {
        "model": spec.model.name,
        "model_version": spec.model.version,
        "model_sha256": spec.model.sha256,
        "profile": spec.profile.name,
        "class_threshold": spec.profile.class_threshold,
        "threshold": spec.profile.threshold,
        "min_area": spec.profile.min_area,
    }
    return pa.Table.from_pylist([{**one, **shared} for one in rows], schema=schema(classes))
