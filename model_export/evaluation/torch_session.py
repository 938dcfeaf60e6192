"""A network in torch behind the interface of the service's onnxruntime session."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from model_export.network.steel_network import ServedNetwork
from service.geometry import Strip
from service.model.session import Probabilities


class SupportsInfer(Protocol):
    """A session that runs tiles: of a model file or of a network in torch."""

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Return the probabilities of every tile, in order."""
        ...


class TorchSession:
    """Session of a network in torch, in float32."""

    def __init__(self, network: ServedNetwork) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Return the probabilities of every tile, in order."""
        classes, masks = self.network(torch.from_numpy(np.stack(strips)))
        return [Probabilities(*pair) for pair in zip(classes.numpy(), masks.numpy(), strict=True)]
