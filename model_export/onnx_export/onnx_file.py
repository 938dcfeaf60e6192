"""The ONNX file: its graph and its metadata."""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from model_export.errors import ParityError
from model_export.network.steel_network import ServedNetwork
from model_export.onnx_export.stem import UnshuffledStem
from service.model.metadata import METADATA_KEY, ModelMetadata
from service.model.repository import write_checksum

_SMALL = 1024
"""Constants with fewer values stay in float32; halving them saves nothing."""


def trace_to_onnx(network: ServedNetwork, tile: tuple[int, int]) -> onnx.ModelProto:
    """Trace a network into a graph for any number of tiles.

    Args:
        network: to trace.
        tile: rows and columns of a tile.

    Raises:
        ParityError: if the traced graph has an unexpected form.
    """
    network = copy.deepcopy(network)
    encoder = network.network.encoder
    stem = getattr(encoder, "conv1", None)
    if isinstance(stem, torch.nn.Conv2d) and UnshuffledStem.matches(stem):
        encoder.conv1 = UnshuffledStem(stem)
    example = torch.zeros((2, *tile), dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch's exporter warns about deprecations in its own code.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["image"],
            output_names=["class_probability", "mask_probability"],
            dynamic_shapes={"image": {0: torch.export.Dim("n", min=1, max=256)}},
            dynamo=True,
            opset_version=18,
            verbose=False,
        )
    if program is None:
        raise ParityError("torch exported nothing")
    model: onnx.ModelProto = program.model_proto
    _quantize_masks(model.graph)
    return model


def _quantize_masks(graph: onnx.GraphProto) -> None:
    """Replace the last three nodes (times 255, round, cast) by one QuantizeLinear."""
    producers = {node.output[0]: node for node in graph.node}
    cast = producers["mask_probability"]
    rounding = producers[cast.input[0]]
    product = producers[rounding.input[0]]
    if [node.op_type for node in (product, rounding, cast)] != ["Mul", "Round", "Cast"]:
        raise ParityError("the traced graph does not end like ServedNetwork: expected Mul, Round, Cast")
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(1 / 255, dtype=np.float32), "mask_scale"),
            onnx.numpy_helper.from_array(np.array(0, dtype=np.uint8), "mask_zero"),
        ]
    )
    quantize = onnx.helper.make_node(
        "QuantizeLinear", [product.input[0], "mask_scale", "mask_zero"], list(cast.output), "mask_bytes"
    )
    kept = [node for node in graph.node if node not in (product, rounding, cast)]
    del graph.node[:]
    graph.node.extend([*kept, quantize])


def halve_weights(model: onnx.ModelProto) -> None:
    """Store weights in float16, half the size; onnxruntime widens them once, when it loads the file."""
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALL:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}.half"], [name], f"widen {name}", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def write_onnx(model: onnx.ModelProto, metadata: ModelMetadata, path: Path) -> None:
    """Save a graph with its metadata, and its checksum beside the file."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    onnx.save(model, path)
    write_checksum(path)
