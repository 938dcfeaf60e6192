"""Checkpoints: what resuming a training needs, or what exporting it needs, in one file."""

import io
import pickle
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from model_export.data import severstal
from model_export.data.classes import Classes
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.network.steel_network import SteelNetwork
from model_export.training.config import TrainConfig
from service.files import whole_file
from service.model.metadata import DefectClass, Split


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after ``epoch`` epochs.

    ``last.pt`` of a training that is under way holds everything; ``best.pt``, and ``last.pt`` of a finished
    training, hold the averaged weights only: nothing resumes there.
    """

    config: TrainConfig
    classes: Classes
    tile: Tile
    """What the network takes."""
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

    @property
    def resumes(self) -> bool:
        """Whether it holds the state of the training, not only its result."""
        return bool(self.network)

    def without_state(self) -> "Checkpoint":
        """Return what validation, export and distillation need: a quarter of the size with AdamW."""
        return replace(self, network={}, optimizer={})


_CONFIG = TypeAdapter(TrainConfig)


def config_to_json(config: TrainConfig) -> dict[str, object]:
    """Return a configuration as JSON values."""
    plain: dict[str, object] = _CONFIG.dump_python(config, mode="json")
    return plain


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically: a kill at any moment leaves the old file or the new one.

    Raises:
        OSError: naming the file, e.g. if the disk is full; the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = vars(checkpoint) | {
        "config": config_to_json(checkpoint.config),
        "classes": [kind.model_dump(mode="json") for kind in checkpoint.classes],
        "tile": list(checkpoint.tile),
        "split": checkpoint.split.model_dump(mode="json"),
    }
    # Through memory: torch hides the reason of a failed write.
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    with whole_file(path) as unfinished:
        unfinished.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. It holds tensors and plain values only, so loading runs no code.

    Raises:
        DataError: if there is none, it is damaged, or another version of this program wrote it.
    """
    if not path.is_file():
        raise DataError(f"there is no checkpoint at {path}")
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged or no checkpoint of train") from error
    if not isinstance(plain, dict):
        raise DataError(f"{path} is no checkpoint of train: it holds a {type(plain).__name__}")
    # Earlier versions knew Severstal's classes and strips only, and did not name them.
    plain.setdefault("classes", [kind.model_dump(mode="json") for kind in severstal.CLASSES])
    plain.setdefault("tile", [severstal.HEIGHT, severstal.WIDTH])
    expected = {field.name for field in fields(Checkpoint)}
    if plain.keys() != expected:
        raise DataError(
            f"{path} was written by another version: it has {sorted(plain.keys() - expected)} and lacks "
            f"{sorted(expected - plain.keys())}"
        )
    try:
        config = _CONFIG.validate_python(plain.pop("config"))
    except ValidationError as error:
        names = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise DataError(f"{path} was written by another version: its options {names} differ") from error
    split, seen = Split.model_validate(plain.pop("split")), tuple(plain.pop("seen"))
    classes = tuple(DefectClass.model_validate(kind) for kind in plain.pop("classes"))
    tile = Tile(*plain.pop("tile"))
    return Checkpoint(config=config, classes=classes, tile=tile, split=split, seen=seen, **plain)


def restore_network(checkpoint: Checkpoint) -> SteelNetwork:
    """Build the network of a checkpoint with its averaged weights, in evaluation mode."""
    network = SteelNetwork(checkpoint.config.network, classes=len(checkpoint.classes))
    network.load_state_dict(checkpoint.averaged)
    return network.eval()
