"""A vision transformer of an ONNX file, with timm's names."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from model_export.errors import DataError

Weights = dict[str, npt.NDArray[np.float32]]

_STEM = {
    "cls_token": "backbone.embeddings.cls_token",
    "patch_embed.proj.weight": "backbone.embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "backbone.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "backbone.layernorm.weight",
    "norm.bias": "backbone.layernorm.bias",
}
_OF_BLOCK = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "attn.proj.bias": "attention.output.dense.bias",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.bias": "mlp.fc2.bias",
}
_PRODUCTS = {
    "attn.proj.weight": "attention/output/dense",
    "mlp.fc1.weight": "mlp/fc1",
    "mlp.fc2.weight": "mlp/fc2",
}
_QUERY_KEY_VALUE = ("query", "key", "value")


def read_timm_weights(path: Path) -> Weights:
    """Read DINOv2 as Hugging Face's transformers exports it, with the names of timm's VisionTransformer.

    Raises:
        DataError: if a weight is missing.
    """
    graph = onnx.load(path).graph
    named = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    products = {node.name: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    try:
        weights = {ours: named[theirs] for ours, theirs in _STEM.items()}
        weights["pos_embed"] = _positions(graph, named)
        number = 0
        while f"backbone.encoder.layer.{number}.norm1.weight" in named:
            block = f"backbone.encoder.layer.{number}."
            nodes = f"/backbone/encoder/layer.{number}/"
            for ours, theirs in _OF_BLOCK.items():
                weights[f"blocks.{number}.{ours}"] = named[block + theirs]
            for ours, theirs in _PRODUCTS.items():
                weights[f"blocks.{number}.{ours}"] = named[products[f"{nodes}{theirs}/MatMul"]].T
            attention = f"{nodes}attention/attention/"
            weights[f"blocks.{number}.attn.qkv.weight"] = np.concatenate(
                [named[products[f"{attention}{one}/MatMul"]].T for one in _QUERY_KEY_VALUE]
            )
            weights[f"blocks.{number}.attn.qkv.bias"] = np.concatenate(
                [named[f"{block}attention.attention.{one}.bias"] for one in _QUERY_KEY_VALUE]
            )
            number += 1
    except KeyError as error:
        raise DataError(f"{path}: expected the weights of a DINOv2, {error} is missing") from error
    return {name: np.ascontiguousarray(weight) for name, weight in weights.items()}


def _positions(graph: onnx.GraphProto, named: Weights) -> npt.NDArray[np.float32]:
    """Join the positions of the class token and of the patches, which the export took apart."""
    read = {node.name: list(node.input) for node in graph.node}
    token = named[read["/backbone/embeddings/Concat_6"][0]]
    patches = named[read["/backbone/embeddings/Reshape_1"][0]]
    return np.concatenate([token, patches], axis=1)
