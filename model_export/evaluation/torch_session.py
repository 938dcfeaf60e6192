"""A network in torch that answers strips as a model file in onnxruntime does."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from model_export.network.steel_network import ServedNetwork
from service.geometry import Strip
from service.model.session import Probabilities


class Answers(Protocol):
    """Whatever answers strips with probabilities: a model file's session or a network in torch."""

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Answer every strip, in order."""
        ...


class TorchSession:
    """The network behind the model file's contract, before it is a file; in float32."""

    def __init__(self, network: ServedNetwork) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Answer every strip, in order."""
        classes, masks = self.network(torch.from_numpy(np.stack(strips)))
        return [Probabilities(*pair) for pair in zip(classes.numpy(), masks.numpy(), strict=True)]
