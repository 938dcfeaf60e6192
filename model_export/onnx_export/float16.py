"""Conversion of a graph to float16, for GPUs; inputs and outputs keep their types."""

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

_IN_FLOAT = ["Resize", "Sigmoid", "QuantizeLinear"]
"""Operators from the upsampling of logits on: scales of a Resize must be float32, and a float16 has 11
significant bits where a byte has 8."""


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with weights and arithmetic in float16; inputs and outputs keep their types."""
    halved: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT]
    )
    return halved
