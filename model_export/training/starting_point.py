"""``starting-point``: the weights of a checkpoint alone, small enough to keep beside a model."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from model_export.errors import DataError
from model_export.network.steel_network import NetworkConfig
from model_export.training.checkpoint import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class StartingPointConfig:
    """Write the averaged weights of a checkpoint in float16, for train --start-from on strips of your own."""

    checkpoint: Path = Path("runs/latest/best.pt")
    """Checkpoint of train."""
    out: Path = Path("runs/start.pt")
    """File to write."""


def starting_point(config: StartingPointConfig) -> None:
    """Write a starting point: a checkpoint that does not resume, half its size or less.

    It still says which strips it saw, so a training that holds one of them out refuses it.

    Raises:
        DataError: if there is no checkpoint, or a file at ``out``.
    """
    if config.out.exists():
        raise DataError(f"{config.out} exists: expected another --out")
    state = load_checkpoint(config.checkpoint)
    averaged = {name: _shrink(name, tensor, state.config.network) for name, tensor in state.averaged.items()}
    if not all(torch.isfinite(tensor).all() for tensor in averaged.values()):
        raise DataError(f"{config.checkpoint} holds weights beyond the range of float16")
    save_checkpoint(replace(state.without_state(), averaged=averaged), config.out)
    print(f"wrote {config.out} ({config.out.stat().st_size / 1e6:.1f} MB)")


def _shrink(name: str, tensor: Tensor, network: NetworkConfig) -> Tensor:
    """Return a weight in float16; one of a ResNet's stage below the depth of the encoder as a single zero."""
    if not torch.is_floating_point(tensor):
        return tensor
    stage = re.match(r"encoder\.layer(\d)\.", name)
    if network.decoder == "unet" and stage and int(stage[1]) >= network.encoder_depth:
        return torch.zeros((), dtype=torch.float16).expand(tensor.shape)  # stored once, not used
    return tensor.half()
