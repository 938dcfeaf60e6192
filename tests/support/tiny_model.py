"""A model of a few nodes whose answers can be computed by hand.

Class k has probability 1 exactly where the pixel equals 50 * k, and 0 elsewhere. Another version reverses the
values, so that its answers differ.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.geometry import HEIGHT, WIDTH, Strip
from service.masks import rle
from service.model.metadata import (
    METADATA_KEY,
    Calibration,
    DefectClass,
    Golden,
    ModelMetadata,
    Parity,
    Profile,
    Provenance,
    Split,
    png_base64,
)
from service.model.repository import write_checksum

VALUES = (50, 100, 150, 200)
"""Grey value of each class."""


def block_strip(**blocks: tuple[int, int, int, int]) -> Strip:
    """Return a black strip with rectangles: ``c1=(left, top, width, height)`` has the value of class 1."""
    strip = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for name, (left, top, width, height) in blocks.items():
        strip[top : top + height, left : left + width] = 50 * int(name[1:])
    return strip


def block_rle(left: int, top: int, width: int, height: int) -> str:
    """Return Kaggle's run-length code of a rectangle, computed without the code under test."""
    return " ".join(f"{column * HEIGHT + top + 1} {height}" for column in range(left, left + width))


def tiny_metadata(version: str = "1", values: Sequence[int] = VALUES) -> ModelMetadata:
    """Return the metadata of the tiny model, with its golden strip."""
    golden = block_strip(c1=(10, 20, 3, 4), c4=(1500, 0, 2, 256))
    first, last = block_rle(10, 20, 3, 4), rle.encode((golden == 200).T)
    first, last = (first, last) if values[0] == 50 else (last, first)
    inspection = Profile(
        name="inspection",
        description="for tests",
        class_threshold=(0.5,) * 4,
        threshold=(0.5,) * 4,
        min_area=(1, 1, 1, 1),
        tuned_on="nothing",
        measured_on="nothing",
        scores=(),
    )
    return ModelMetadata(
        format_version=1,
        name="tiny",
        version=version,
        precision="fp32",
        height=HEIGHT,
        width=WIDTH,
        classes=tuple(DefectClass(id=k, name=f"kind {k}") for k in (1, 2, 3, 4)),
        profiles=(
            inspection,
            inspection.model_copy(update={"name": "kaggle", "min_area": (100, 100, 100, 100)}),
        ),
        split=Split(strategy="none", seed=0, train=(), validation=(), test=()),
        provenance=Provenance(
            created="2026-01-01",
            training_data="none",
            notice="",
            training_data_sha256="",
            code_sha256="",
            config={},
            versions={},
        ),
        calibration=Calibration(temperature=1, strips=0, cross_entropy_before=0, cross_entropy_after=0),
        parity=Parity(
            strips=0,
            max_class_probability_difference=0,
            max_mask_byte_difference=0,
            pixel_agreement=1,
            max_dice_difference=0,
        ),
        golden=Golden(
            strip_png=png_base64(golden),
            class_probability=(1, 0, 0, 1),
            rle=(first, "", "", last),
        ),
    )


def tiny_graph(values: Sequence[int] = VALUES) -> onnx.ModelProto:
    """Return the graph without metadata."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["columns", "axis"], ["stacked"]),
        helper.make_node("Equal", ["stacked", "values"], ["found"]),
        helper.make_node("Cast", ["found"], ["ones"], to=TensorProto.UINT8),
        helper.make_node("Mul", ["ones", "full"], ["mask_probability"]),
        helper.make_node("Cast", ["found"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats", "pixels"], ["class_probability"], keepdims=0),
    ]
    return contract_model(
        nodes,
        values=np.array(values, dtype=np.uint8).reshape(1, 4, 1, 1),
        axis=np.array([1], dtype=np.int64),
        pixels=np.array([2, 3], dtype=np.int64),
        full=np.array(255, dtype=np.uint8),
    )


def contract_model(nodes: Sequence[onnx.NodeProto], **constants: np.ndarray) -> onnx.ModelProto:
    """Return a graph of these nodes with the input and outputs of the contract."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info("class_probability", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("mask_probability", TensorProto.UINT8, ["n", 4, WIDTH, HEIGHT]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_model(path: Path, model: onnx.ModelProto, metadata: str | None) -> Path:
    """Write a graph with this metadata, and its checksum."""
    del model.metadata_props[:]
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    write_checksum(path)
    return path


def write_tiny_model(path: Path, version: str = "1", values: Sequence[int] = VALUES) -> Path:
    """Write the tiny model."""
    return write_model(path, tiny_graph(values), tiny_metadata(version, values).model_dump_json())


def write_slow_model(path: Path, matmuls: int = 60) -> Path:
    """Write the tiny model with idle matrix products: 60 take about half a second a strip."""
    model = tiny_graph()
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((WIDTH, WIDTH), dtype=np.float32), "zeros"))
    graph.node.append(helper.make_node("Cast", ["image"], ["work0"], to=TensorProto.FLOAT))
    for step in range(matmuls):
        graph.node.append(helper.make_node("MatMul", [f"work{step}", "zeros"], [f"work{step + 1}"]))
    graph.node.append(
        helper.make_node("ReduceMax", [f"work{matmuls}", "rows_and_columns"], ["nothing"], keepdims=0)
    )
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "rows_and_columns"))
    graph.node.append(helper.make_node("Unsqueeze", ["nothing", "axis"], ["column"]))
    for node in graph.node:
        if node.op_type == "ReduceMax" and node.output[0] == "class_probability":
            node.output[0] = "quick_probability"
    graph.node.append(helper.make_node("Add", ["quick_probability", "column"], ["class_probability"]))
    return write_model(path, model, tiny_metadata().model_dump_json())
