"""A graph for GPUs: float16 inside, the contract's types outside."""

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

_IN_FLOAT = ["Resize", "Sigmoid", "QuantizeLinear"]
"""Upsampling of logits and what follows: scales of a Resize must be float32, and a byte has 8 bits
where a half has 11."""


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with weights and arithmetic in float16; inputs and outputs keep their types."""
    halved: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT]
    )
    return halved
