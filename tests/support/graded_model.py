"""A model whose first class has the picture itself as its map; so any threshold can be checked by hand."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from service.masks import rle
from service.model.metadata import HealthLimits, ModelMetadata, ReviewBands
from tests.support.images import png
from tests.support.tiny_model import contract_model, tiny_metadata, write_model


def graded_graph() -> onnx.ModelProto:
    """Class 1's probability of a pixel is its brightness; the other classes are nowhere."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["columns", "axis"], ["first"]),
        helper.make_node("Sub", ["first", "first"], ["nothing"]),
        helper.make_node("Concat", ["first", *["nothing"] * 3], ["mask_probability"], axis=1),
        helper.make_node("Cast", ["mask_probability"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats", "pixels"], ["brightest"], keepdims=0),
        helper.make_node("Div", ["brightest", "full"], ["class_probability"]),
    ]
    return contract_model(
        nodes,
        axis=np.array([1], dtype=np.int64),
        pixels=np.array([2, 3], dtype=np.int64),
        full=np.array(255, dtype=np.float32),
    )


def graded_metadata(
    health: HealthLimits | None = None, review_bands: Sequence[tuple[float, float]] | None = None
) -> ModelMetadata:
    """Return the metadata of the graded model."""
    metadata = tiny_metadata()
    golden = np.zeros((metadata.height, metadata.width), dtype=np.uint8)
    golden[5:9, 3:6] = 255
    bands: ReviewBands | None = tuple(review_bands) if review_bands else None
    return metadata.model_copy(
        update={
            "golden": metadata.golden.model_copy(
                update={
                    "strip_png": base64.b64encode(png(golden)).decode(),
                    "class_probability": (1.0, 0.0, 0.0, 0.0),
                    "rle": (rle.encode(golden.T == 255), "", "", ""),
                }
            ),
            "health": health,
            "review_bands": bands,
        }
    )


def write_graded_model(path: Path, metadata: ModelMetadata | None = None) -> Path:
    """Write the graded model."""
    return write_model(path, graded_graph(), (metadata or graded_metadata()).model_dump_json())
