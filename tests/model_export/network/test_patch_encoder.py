"""Frozen patches beside a stem: a teacher that trains, is kept and is asked like any other network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model_export.network.patch_encoder import FrozenPatches
from model_export.network.steel_network import NetworkConfig, SteelNetwork
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.train import train
from tests.support.quick_training import TINY

CONFIG = NetworkConfig(encoder="test_vit", decoder="joined", decoder_channels=(8,))


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Write weights of the small transformer, in half precision where a file would be."""
    torch.manual_seed(5)
    vit = FrozenPatches("test_vit", pretrained=False, mean=0.449, std=0.226).vit
    state = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in vit.state_dict().items()}
    save_file(state, path)
    return {name: tensor.float() for name, tensor in state.items()}


def test_it_trains_around_weights_that_stay(tmp_path: Path) -> None:
    given = weights(tmp_path / "vit.safetensors")
    config = replace(
        TINY, network=CONFIG, out=tmp_path, epochs=1, encoder_weights=str(tmp_path / "vit.safetensors")
    )
    state = load_checkpoint(train(config))
    for name, tensor in given.items():
        assert torch.equal(state.averaged[f"encoder.patches.vit.{name}"], tensor), name
    network = restore_network(state)
    with torch.inference_mode():
        masks, classes = network.decoder_logits(torch.rand(1, 1, 256, 320) * 255)
    assert (masks.shape, classes.shape) == ((1, 4, 64, 80), (1, 4))


def test_weights_of_another_transformer_are_refused(tmp_path: Path) -> None:
    save_file({"cls_token": torch.zeros(1, 1, 8)}, tmp_path / "vit.safetensors")
    config = replace(
        TINY, network=CONFIG, out=tmp_path / "run", encoder_weights=str(tmp_path / "vit.safetensors")
    )
    with pytest.raises(ValueError, match=r"vit\.safetensors does not fit this transformer"):
        train(config)


def test_grey_values_arrive_as_the_colours_that_the_transformer_expects() -> None:
    patches = FrozenPatches("test_vit", pretrained=False, mean=0.449, std=0.226)
    grey = torch.full((1, 1, 32, 32), (0.7 - 0.449) / 0.226)
    expected = (0.7 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close((grey * patches.scale + patches.shift)[0, :, 0, 0], expected)


def test_the_transformer_has_no_gradients_and_stays_in_evaluation_mode() -> None:
    network = SteelNetwork(CONFIG).train()
    assert not network.encoder.get_submodule("patches.vit").training
    trained = {name.split(".")[1] for name, p in network.encoder.named_parameters() if p.requires_grad}
    assert not any(p.requires_grad for p in network.encoder.get_submodule("patches").parameters())
    assert trained
