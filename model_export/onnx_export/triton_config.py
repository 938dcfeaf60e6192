"""Triton's ``config.pbtxt`` beside the versions of a model."""

import json
from pathlib import Path

import onnx

CONFIG = "config.pbtxt"

_MAX_BATCH_SIZE = 16
_MAX_QUEUE_DELAY_US = 2000
"""Both have the service's values on a GPU; on a CPU a batch takes as long as its strips one by one."""
_TYPES = {"UINT8": "TYPE_UINT8", "FLOAT": "TYPE_FP32"}


def write_triton_config(model: Path) -> Path:
    """Write the configuration that follows from a model file; return its path.

    Args:
        model: ``<name>/<version>/model.onnx``; the configuration holds for all versions.
    """
    graph = onnx.load(model).graph
    folder = model.parent.parent
    path = folder / CONFIG
    path.write_text(
        f"name: {json.dumps(folder.name)}\n"
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {_MAX_BATCH_SIZE}\n"
        + "".join(_tensor("input", tensor) for tensor in graph.input)
        + "".join(_tensor("output", tensor) for tensor in graph.output)
        + f"dynamic_batching {{\n  max_queue_delay_microseconds: {_MAX_QUEUE_DELAY_US}\n}}\n"
    )
    return path


def _tensor(kind: str, tensor: onnx.ValueInfoProto) -> str:
    # Triton adds the first dimension, the batch, itself.
    dims = ", ".join(str(dim.dim_value) for dim in tensor.type.tensor_type.shape.dim[1:])
    data_type = onnx.TensorProto.DataType.Name(tensor.type.tensor_type.elem_type)
    return (
        f"{kind} {{\n  name: {json.dumps(tensor.name)}\n"
        f"  data_type: {_TYPES[data_type]}\n  dims: [{dims}]\n}}\n"
    )
