"""Encoder weights with folded batch norms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_export.network.folded_weights import load_folded_weights
from model_export.network.steel_network import NetworkConfig, SteelNetwork
from tests.support.arrays import save_arrays


def test_folded_weights_give_back_the_network_they_came_from(tmp_path: Path) -> None:
    """Fold the batch norms of one random encoder away, load the result into another: same answers."""
    torch.manual_seed(0)
    source = SteelNetwork(NetworkConfig()).encoder
    for norm in source.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
    images = torch.randn(2, 1, 64, 64)
    source.train()
    source(images)  # running statistics that are not the default
    source.eval()
    arrays: dict[str, np.ndarray] = {}
    layers = dict(source.named_modules())
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            norm_name = name[:-1] + "1" if name.endswith("downsample.0") else name.replace("conv", "bn")
            norm = layers[norm_name]
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_var is not None
            assert norm.running_mean is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            arrays[f"{name}.weight"] = (layer.weight * scale.view(-1, 1, 1, 1)).detach().numpy()
            arrays[f"{name}.bias"] = (norm.bias - norm.running_mean * scale).detach().numpy()
    save_arrays(tmp_path / "folded.npz", arrays)

    target = SteelNetwork(NetworkConfig()).encoder.eval()
    loaded = load_folded_weights(target, tmp_path / "folded.npz", images)
    assert len(loaded) == 20
    with torch.inference_mode():
        for ours, theirs in zip(target(images)[1:], source(images)[1:], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_colour_weights_are_summed_for_grey(tmp_path: Path) -> None:
    encoder = SteelNetwork(NetworkConfig()).encoder
    weight = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype(np.float32)
    save_arrays(tmp_path / "w.npz", {"conv1.weight": weight, "conv1.bias": np.zeros(64, np.float32)})
    load_folded_weights(encoder, tmp_path / "w.npz", torch.randn(1, 1, 64, 64))
    state = encoder.state_dict()["conv1.weight"]
    np.testing.assert_allclose(state.numpy(), weight.sum(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("layer9.conv1", (1, 1, 1, 1), "this encoder lacks"),
        ("layer1.0.conv1", (64, 64, 1, 1), "expected shape"),
    ],
)
def test_foreign_weights_are_refused(tmp_path: Path, name: str, shape: tuple[int, ...], message: str) -> None:
    arrays = {f"{name}.weight": np.zeros(shape, np.float32), f"{name}.bias": np.zeros(1, np.float32)}
    save_arrays(tmp_path / "w.npz", arrays)
    with pytest.raises(ValueError, match=message):
        load_folded_weights(
            SteelNetwork(NetworkConfig()).encoder, tmp_path / "w.npz", torch.randn(1, 1, 64, 64)
        )
