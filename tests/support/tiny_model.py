"""A model of a few nodes whose answers can be computed by hand.

Each class has probability 1 exactly where the pixel equals its grey value, and 0 elsewhere: 50, 100, 150 and
200 for the four classes that it has by default. Another version reverses them, so that its answers differ.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.geometry import Strip
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
TILE = (256, 1600)
"""Rows and columns of the model's input."""


Box = tuple[int, int, int, int]
"""Left, top, width and height."""


def block_strip(**blocks: Box) -> Strip:
    """Return a black strip with rectangles: ``c1=(left, top, width, height)`` has the value of class 1."""
    return draw_blocks(TILE, [(VALUES[int(name[1:]) - 1], box) for name, box in blocks.items()])


def draw_blocks(shape: tuple[int, int], blocks: Iterable[tuple[int, Box]]) -> Strip:
    """Return a black image of so many rows and columns with rectangles of grey values."""
    image = np.zeros(shape, dtype=np.uint8)
    for value, (left, top, width, height) in blocks:
        image[top : top + height, left : left + width] = value
    return image


def block_rle(left: int, top: int, width: int, height: int, *, rows: int = TILE[0]) -> str:
    """Return Kaggle's run-length code of a rectangle, computed without the code under test."""
    return " ".join(f"{column * rows + top + 1} {height}" for column in range(left, left + width))


def numbered_kinds(count: int) -> tuple[DefectClass, ...]:
    """Return so many classes: 1, ``kind 1``, and so on."""
    return tuple(DefectClass(id=k, name=f"kind {k}") for k in range(1, count + 1))


def tiny_metadata(
    version: str = "1",
    values: Sequence[int] = VALUES,
    *,
    tile: tuple[int, int] = TILE,
    kinds: Sequence[DefectClass] | None = None,
    pad: bool = False,
) -> ModelMetadata:
    """Return the metadata of the tiny model, with its golden strip.

    Args:
        version: of the model.
        values: grey value of each class.
        tile: rows and columns of the input.
        kinds: the classes; None numbers them from 1.
        pad: the metadata's ``pad``.
    """
    height, width = tile
    count = len(values)
    first, last = (10, 20, 3, 4), (max(16, width - 100), 0, 2, height)
    low, high = sorted((values[0], values[-1]))
    golden = draw_blocks(tile, [(low, first), (high, last)])
    codes = {high: rle.encode((golden == high).T), low: block_rle(*first, rows=height)}
    if count == 1:
        codes = {low: rle.encode((golden == low).T)}
    inspection = Profile(
        name="inspection",
        description="for tests",
        class_threshold=(0.5,) * count,
        threshold=(0.5,) * count,
        min_area=(1,) * count,
        tuned_on="nothing",
        measured_on="nothing",
        scores=(),
    )
    return ModelMetadata(
        format_version=1,
        name="tiny",
        version=version,
        precision="fp32",
        height=height,
        width=width,
        pad=pad,
        classes=tuple(kinds or numbered_kinds(count)),
        profiles=(
            inspection,
            inspection.model_copy(update={"name": "kaggle", "min_area": (100,) * count}),
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
            class_probability=tuple(float(value in codes) for value in values),
            rle=tuple(codes.get(value, "") for value in values),
        ),
    )


def tiny_graph(values: Sequence[int] = VALUES, tile: tuple[int, int] = TILE) -> onnx.ModelProto:
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
        classes=len(values),
        tile=tile,
        values=np.array(values, dtype=np.uint8).reshape(1, -1, 1, 1),
        axis=np.array([1], dtype=np.int64),
        pixels=np.array([2, 3], dtype=np.int64),
        full=np.array(255, dtype=np.uint8),
    )


def contract_model(
    nodes: Sequence[onnx.NodeProto],
    *,
    classes: int = len(VALUES),
    tile: tuple[int, int] = TILE,
    **constants: np.ndarray,
) -> onnx.ModelProto:
    """Return a graph of these nodes with the input and outputs of the contract."""
    height, width = tile
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width])],
        [
            helper.make_tensor_value_info("class_probability", TensorProto.FLOAT, ["n", classes]),
            helper.make_tensor_value_info(
                "mask_probability", TensorProto.UINT8, ["n", classes, width, height]
            ),
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


def write_tiny_model(
    path: Path,
    version: str = "1",
    values: Sequence[int] = VALUES,
    *,
    tile: tuple[int, int] = TILE,
    kinds: Sequence[DefectClass] | None = None,
    pad: bool = False,
) -> Path:
    """Write the tiny model; see ``tiny_metadata``."""
    metadata = tiny_metadata(version, values, tile=tile, kinds=kinds, pad=pad)
    return write_model(path, tiny_graph(values, tile), metadata.model_dump_json())


def write_slow_model(path: Path, matmuls: int = 60) -> Path:
    """Write the tiny model with idle matrix products: 60 take about half a second a strip."""
    model = tiny_graph()
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((TILE[1], TILE[1]), dtype=np.float32), "zeros"))
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
