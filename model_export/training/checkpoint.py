"""Checkpoints: everything to resume a training, or to export it, in one file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from model_export.errors import DataError
from model_export.network.steel_network import SteelNetwork
from model_export.training.config import TrainConfig
from service.model.metadata import Split


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after ``epoch`` epochs."""

    config: TrainConfig
    split: Split
    seen: tuple[str, ...]
    """Digests of the photographed strips that shaped the weights: those of the training, of the checkpoint
    that it started from and of its teachers."""
    epoch: int
    score: float
    """Validation score of ``averaged``."""
    best_score: float
    best_epoch: int
    """Epoch of ``best_score``; 0 before the first validation."""
    network: dict[str, Any]
    averaged: dict[str, Any]
    """Weights to validate and export: the running average."""
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    scaler: dict[str, Any]


_CONFIG = TypeAdapter(TrainConfig)


def config_to_json(config: TrainConfig) -> dict[str, object]:
    """Return a configuration as JSON values."""
    plain: dict[str, object] = _CONFIG.dump_python(config, mode="json")
    return plain


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically: a kill at any moment leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    plain = vars(checkpoint) | {
        "config": config_to_json(checkpoint.config),
        "split": checkpoint.split.model_dump(mode="json"),
    }
    torch.save(plain, part)
    part.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. It holds tensors and plain values only, so loading runs no code.

    Raises:
        DataError: if there is none, or another version of this program wrote it.
    """
    if not path.is_file():
        raise DataError(f"there is no checkpoint at {path}")
    plain = torch.load(path, map_location="cpu", weights_only=True)
    expected = {field.name for field in fields(Checkpoint)}
    if plain.keys() != expected:
        raise DataError(
            f"{path} was written by another version: it has {sorted(plain.keys() - expected)} and lacks "
            f"{sorted(expected - plain.keys())}"
        )
    config = _CONFIG.validate_python(plain.pop("config"))
    split, seen = Split.model_validate(plain.pop("split")), tuple(plain.pop("seen"))
    return Checkpoint(config=config, split=split, seen=seen, **plain)


def restore_network(checkpoint: Checkpoint) -> SteelNetwork:
    """Build the network of a checkpoint with its averaged weights, in evaluation mode."""
    network = SteelNetwork(checkpoint.config.network)
    network.load_state_dict(checkpoint.averaged)
    return network.eval()
