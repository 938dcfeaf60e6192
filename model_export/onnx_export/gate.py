"""The gate: the decoder moves into an ``If`` of the graph, so that clean strips cost the encoder only."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

_CLASSES, _MASKS = "class_probability", "mask_probability"
_THRESHOLDS = "gate_thresholds"
_INSIDE = "gated/"
"""Prefix of names inside the branch, which must differ from those outside."""


def gate_decoder(model: ModelProto, thresholds: Sequence[float]) -> None:
    """Run the decoder only if a class reaches its threshold on a strip of the batch; else masks are 0.

    Args:
        model: graph with the outputs of a model file; changed in place.
        thresholds: one per class, not above the class threshold of any operating point, so that no
            result changes.
    """
    graph = model.graph
    shape = _mask_shape(graph)
    needed = _ancestors(graph, _CLASSES)
    outside = [node for node in graph.node if node.output[0] in needed]
    inside = [node for node in graph.node if node.output[0] not in needed]
    branch = _decoder_branch(graph, outside, inside, shape)
    del graph.node[:]
    graph.node.extend(outside)
    graph.node.extend(_condition(graph, thresholds))
    graph.node.append(
        helper.make_node(
            "If", ["any_present"], [_MASKS], "gate", then_branch=branch, else_branch=_no_masks(shape)
        )
    )


def set_gate(model: ModelProto, thresholds: Sequence[float]) -> None:
    """Change the thresholds of a graph that ``gate_decoder`` has gated, in place; zeros open its gate."""
    (constant,) = (constant for constant in model.graph.initializer if constant.name == _THRESHOLDS)
    constant.CopyFrom(numpy_helper.from_array(np.array(thresholds, dtype=np.float32), _THRESHOLDS))


def _ancestors(graph: GraphProto, tensor: str) -> set[str]:
    """Return the names of the tensors that a tensor is computed from, itself included."""
    producers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    pending: list[str] = [tensor]
    while pending:
        name = pending.pop()
        if name in producers and name not in found:
            node = producers[name]
            found.update(node.output)
            pending.extend(node.input)
    return found


def _decoder_branch(
    graph: GraphProto, outside: Iterable[NodeProto], inside: Sequence[NodeProto], shape: Sequence[int]
) -> GraphProto:
    """Build the branch: the decoder's nodes with their constants and dequantized features.

    Features enter as int8 and are dequantized inside, and constants lie inside, because onnxruntime fuses
    integer kernels only within one graph.
    """
    dequantizers = {node.output[0]: node for node in outside if node.op_type == "DequantizeLinear"}
    constants = {constant.name: constant for constant in graph.initializer}
    read = {name for node in inside for name in node.input}
    nodes = [dequantizers[name] for name in sorted(read & dequantizers.keys())]
    nodes.extend(inside)
    own = {name for node in nodes for name in node.output}
    own |= {name for node in nodes for name in node.input if name in constants}
    renamed = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = _INSIDE + node.name
        for names in (copy.input, copy.output):
            names[:] = [_INSIDE + name if name in own else name for name in names]
        renamed.append(copy)
    initializers = []
    for name in sorted(own & constants.keys()):
        constant = TensorProto()
        constant.CopyFrom(constants[name])
        constant.name = _INSIDE + name
        initializers.append(constant)
    still_read = {name for node in outside for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in still_read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return helper.make_graph(renamed, "decoder", [], [_mask_info(_INSIDE + _MASKS, shape)], initializers)


def _condition(graph: GraphProto, thresholds: Sequence[float]) -> list[NodeProto]:
    graph.initializer.append(numpy_helper.from_array(np.array(thresholds, dtype=np.float32), _THRESHOLDS))
    return [
        helper.make_node("GreaterOrEqual", [_CLASSES, _THRESHOLDS], ["present"]),
        helper.make_node("Cast", ["present"], ["present_number"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["present_number"], ["any_number"], keepdims=0),
        helper.make_node("Cast", ["any_number"], ["any_present"], to=TensorProto.BOOL),
    ]


def _no_masks(shape: Sequence[int]) -> GraphProto:
    constants = [
        numpy_helper.from_array(np.array(shape, dtype=np.int64), "mask_shape"),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "first_axis"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "second_axis"),
    ]
    nodes = [
        helper.make_node("Shape", [_CLASSES], ["class_shape"]),
        helper.make_node("Slice", ["class_shape", "first_axis", "second_axis"], ["strips"]),
        helper.make_node("Concat", ["strips", "mask_shape"], ["no_mask_shape"], axis=0),
        helper.make_node(
            "ConstantOfShape",
            ["no_mask_shape"],
            ["no_masks"],
            value=numpy_helper.from_array(np.zeros(1, dtype=np.uint8)),
        ),
    ]
    return helper.make_graph(nodes, "nothing", [], [_mask_info("no_masks", shape)], constants)


def _mask_info(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", *shape])


def _mask_shape(graph: GraphProto) -> list[int]:
    """Return classes, columns and rows of the masks."""
    (masks,) = (output for output in graph.output if output.name == _MASKS)
    return [dimension.dim_value for dimension in masks.type.tensor_type.shape.dim[1:]]
