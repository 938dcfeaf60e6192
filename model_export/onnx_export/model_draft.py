"""A model file in two steps: a draft that can be measured, then the file with its measurements."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_export.data.choose import spread_by_class
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile, cut_frame
from model_export.errors import ParityError
from model_export.evaluation.torch_session import SupportsInfer, TorchSession
from model_export.network.steel_network import ServedNetwork
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.gate import gate_decoder
from model_export.onnx_export.golden import choose_golden
from model_export.onnx_export.graph_session import GraphSession
from model_export.onnx_export.metadata import ModelIdentity, draft_metadata
from model_export.onnx_export.onnx_file import halve_weights, trace_to_onnx, write_onnx
from model_export.onnx_export.parity import Arithmetic, Comparison, compare_with_torch
from model_export.onnx_export.profiles import TunedProfiles
from model_export.onnx_export.quantize import quantize
from model_export.training.checkpoint import Checkpoint, restore_network
from service.geometry import Strip
from service.model.loading import prove
from service.model.metadata import (
    Calibration,
    ClassFractions,
    ModelMetadata,
    OperatingPoint,
)
from service.model.session import OrtSession

_CALIBRATION_STRIPS = 64
"""Strips that set the ranges of int8 activations; more changed nothing."""


class ModelDraft:
    """A checkpoint as an ONNX graph that runs, without thresholds and scores.

    Args:
        state: the checkpoint.
        calibration: temperature of its class probabilities.
        identity: name and version of the model.
        train: the strips that it was trained on; they set the limits of health, some of them
            the ranges of int8 activations.
        path: the file that ``finish`` writes.
        arithmetic: arithmetic of the file.
        soft_gate: multiply each pixel's probability by its class's on the whole strip.
    """

    def __init__(
        self,
        state: Checkpoint,
        calibration: Calibration,
        identity: ModelIdentity,
        train: Sequence[LabelledStrip],
        path: Path,
        arithmetic: Arithmetic,
        *,
        soft_gate: bool,
    ) -> None:
        network = ServedNetwork(restore_network(state), calibration.temperature, soft_gate=soft_gate)
        self.reference = TorchSession(network)
        self.path = path
        self.arithmetic = arithmetic
        self.tile = state.tile
        self._class_ids = tuple(kind.id for kind in state.classes)
        self._graph = trace_to_onnx(network, state.tile.shape)
        if arithmetic == "half weights":
            halve_weights(self._graph)
        elif arithmetic == "fp16":
            self._graph = to_float16(self._graph)
        elif arithmetic == "int8":
            chosen = spread_by_class(train, _CALIBRATION_STRIPS)
            self._graph = quantize(self._graph, [_fullest_tile(strip, state.tile) for strip in chosen])
        self._metadata = draft_metadata(state, calibration, identity, train, arithmetic)
        self.session = GraphSession(self._graph, path)

    def compare(self, strips: Sequence[LabelledStrip], point: OperatingPoint) -> Comparison:
        """Compare the graph with torch on ``strips``."""
        return compare_with_torch(
            self.reference, self.session, strips, self.tile, point, self._class_ids, self.arithmetic
        )

    def finish(
        self,
        profiles: TunedProfiles,
        comparison: Comparison,
        strips: Sequence[LabelledStrip],
        *,
        gated: bool,
    ) -> ModelMetadata:
        """Write the graph with its metadata to ``path``.

        Args:
            profiles: thresholds and scores.
            comparison: of the graph with torch.
            strips: strips on which the gate is checked.
            gated: skip the decoder on strips without any class.

        Raises:
            ParityError: if the gate changes an answer.
        """
        gate = profiles.gate() if gated else None
        served = self.session
        if gate is not None:
            gate_decoder(self._graph, gate)
            served = GraphSession(self._graph, self.path)
            _check_gate(self.session, served, gate, strips, self.tile)
        metadata = self._metadata.complete(
            profiles=profiles.describe(),
            parity=comparison.parity(),
            golden=choose_golden(
                served, profiles.points["inspection"], gate, self.tile, len(self._class_ids)
            ),
            gate=gate,
            review_bands=profiles.review_bands,
        )
        write_onnx(self._graph, metadata, self.path)
        prove(OrtSession(self.path))
        return metadata


def _fullest_tile(strip: LabelledStrip, tile: Tile) -> Strip:
    """Return the tile of a strip that shows most of its defects."""
    image, masks = strip.load()
    frame = cut_frame(image, tile, strip.name)
    areas = [int(np.count_nonzero(own)) for own in frame.cut(masks)]
    return frame.tiles[int(np.argmax(areas))]


def _check_gate(
    ungated: SupportsInfer,
    gated: SupportsInfer,
    gate: ClassFractions,
    strips: Sequence[LabelledStrip],
    tile: Tile,
) -> None:
    """Check that the gate changes only masks of tiles on which no class reaches its threshold.

    Raises:
        ParityError: if a class probability or another mask differs.
    """
    for strip in strips:
        for image in cut_frame(strip.load()[0], tile, strip.name).tiles:
            (expected,), (answer,) = ungated.infer([image]), gated.infer([image])
            shows = any(float(value) >= least for value, least in zip(expected.classes, gate, strict=True))
            masks = expected.masks if shows else np.zeros_like(expected.masks)
            if not (np.array_equal(answer.classes, expected.classes) and np.array_equal(answer.masks, masks)):
                raise ParityError(f"the gated graph answers {strip.name} differently; nothing was written")
