"""A session of a graph that is not a model file yet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from service.geometry import Strip
from service.model.cpu_quota import cpu_quota
from service.model.providers import open_cpu
from service.model.repository import ModelFile
from service.model.session import Probabilities

_OUTPUTS = ("class_probability", "mask_probability")


class GraphSession:
    """onnxruntime on the CPU, with the settings of the service, for a graph without metadata.

    Args:
        graph: with the inputs and outputs of a model file.
        name: for error messages.

    Raises:
        ModelFileError: if onnxruntime cannot load the graph.
    """

    def __init__(self, graph: onnx.ModelProto, name: Path) -> None:
        file = ModelFile(name, graph.SerializeToString(), sha256="")
        self._session = open_cpu(file, cpu_quota())

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Return the probabilities of every strip, in order; runs them one at a time."""
        probabilities = []
        for strip in strips:
            classes, masks = self._session.run(_OUTPUTS, {"image": strip[np.newaxis]})
            probabilities.append(Probabilities(classes[0], masks[0]))
        return probabilities
