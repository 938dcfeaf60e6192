"""The tiny model with three faults, each caused by a grey value in the strip."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.tiny_model import tiny_graph, tiny_metadata, write_model

RAISE, EXHAUST, HANG = 251, 252, 253
"""Grey values: an index out of bounds; an allocation beyond the memory; a loop without an end."""


def write_faulty_model(path: Path) -> Path:
    """Write the model and its checksum."""
    model = tiny_graph()
    graph = model.graph
    for node in graph.node:
        if node.output[0] == "class_probability":
            node.output[0] = "healthy"
    for value, factor in ((RAISE, 5), (EXHAUST, 2**44), (HANG, 2**62)):
        _constant(graph, f"grey {value}", np.array(value, dtype=np.uint8))
        _constant(graph, f"factor {value}", np.array([factor], dtype=np.int64))
        graph.node.extend(
            [
                helper.make_node("Equal", ["image", f"grey {value}"], [f"pixels {value}"]),
                helper.make_node("Cast", [f"pixels {value}"], [f"ones {value}"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMax", [f"ones {value}"], [f"found {value}"], keepdims=0),
                helper.make_node("Cast", [f"found {value}"], [f"number {value}"], to=TensorProto.INT64),
                helper.make_node("Mul", [f"number {value}", f"factor {value}"], [f"times {value}"]),
            ]
        )
    _constant(graph, "one", np.array([1], dtype=np.int64))
    _constant(graph, "zero", np.array([0.0], dtype=np.float32))
    graph.node.extend(
        [
            helper.make_node("Gather", ["zero", f"times {RAISE}"], ["raised"]),
            helper.make_node("Add", [f"times {EXHAUST}", "one"], ["length"]),
            helper.make_node("ConstantOfShape", ["length"], ["zeros"]),
            helper.make_node("ReduceMax", ["zeros"], ["exhausted"], keepdims=1),
            helper.make_node("Add", [f"times {HANG}", "one"], ["trips"]),
            helper.make_node("Loop", ["trips", "", "zero"], ["hung"], body=_idle()),
            helper.make_node("Sum", ["healthy", "raised", "exhausted", "hung"], ["class_probability"]),
        ]
    )
    return write_model(path, model, tiny_metadata().model_dump_json())


def _idle() -> onnx.GraphProto:
    """Return the body of a loop that does nothing."""
    scalar = [helper.make_tensor_value_info("trip", TensorProto.INT64, [])]
    go_on = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    goes_on = helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])
    carried = helper.make_tensor_value_info("carried", TensorProto.FLOAT, [1])
    carries = helper.make_tensor_value_info("carries", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("Identity", ["go_on"], ["goes_on"]),
        helper.make_node("Identity", ["carried"], ["carries"]),
    ]
    return helper.make_graph(nodes, "idle", [*scalar, go_on, carried], [goes_on, carries])


def _constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> None:
    graph.initializer.append(numpy_helper.from_array(value, name))
