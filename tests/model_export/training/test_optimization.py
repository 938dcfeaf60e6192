"""The optimizer: what decays, and at which rate it learns."""

from dataclasses import replace

from torch import nn

from model_export.network.steel_network import SteelNetwork
from model_export.training.optimization import build_optimizer
from tests.support.quick_training import TINY


def test_norms_and_biases_do_not_decay() -> None:
    config = replace(TINY, weight_decay=0.3, learning_rate=0.01, encoder_rate=0.5)
    network = SteelNetwork(config.network)
    groups = build_optimizer(config, network).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(network.parameters()))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Conv2d | nn.Linear):
            assert decay[id(module.weight)] == (0 if isinstance(module, nn.BatchNorm2d) else 0.3)
            if module.bias is not None:
                assert decay[id(module.bias)] == 0
    assert {rate[id(p)] for p in network.encoder.parameters()} == {0.005}
    assert {rate[id(p)] for p in network.decoder.parameters()} == {0.01}
    assert groups[-1]["lr"] == 0.01
