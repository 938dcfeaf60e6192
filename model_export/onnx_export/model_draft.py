"""A model file in two steps: a draft that can be measured, then the file with its measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import DrawnStrip
from model_export.errors import ParityError
from model_export.evaluation.torch_session import SupportsInfer, TorchSession
from model_export.network.steel_network import ServedNetwork
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.gate import gate_decoder
from model_export.onnx_export.graph_session import GraphSession
from model_export.onnx_export.metadata import ModelIdentity, draft_metadata
from model_export.onnx_export.onnx_file import halve_weights, trace_to_onnx, write_onnx
from model_export.onnx_export.parity import Arithmetic, check_parity
from model_export.onnx_export.quantize import quantize
from model_export.training.checkpoint import Checkpoint, restore_network
from service.geometry import CLASS_COUNT, Strip
from service.masks import rle
from service.model.loading import prove
from service.model.metadata import (
    Calibration,
    ClassScore,
    FourFractions,
    Golden,
    ModelMetadata,
    OperatingPoint,
    Profile,
    ReviewBands,
    png_base64,
)
from service.model.postprocess import byte_threshold
from service.model.session import OrtSession

_GOLDEN = DrawnStrip(seed=7, number=3)

_DESCRIPTIONS = {
    "inspection": "keeps an image-level recall of 0.9 per class, on strips to come, where it can be had; "
    "then Dice on positives minus false alarms",
    "kaggle": "maximises Kaggle's mean Dice, which pays for missing rare defects",
}

_CALIBRATION_STRIPS = 64
"""Strips that set the ranges of int8 activations; more changed nothing."""


@dataclass(frozen=True)
class TunedProfiles:
    """Operating points with their scores, and the strips of both."""

    points: Mapping[str, OperatingPoint]
    """By name of the profile."""
    scores: Mapping[str, Sequence[ClassScore]]
    """By name of the profile."""
    review_bands: ReviewBands
    """Measured on the strips that chose the points."""
    tuned_on: str
    """In words, for the metadata."""
    measured_on: str
    """In words, for the metadata."""


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
        self._graph = trace_to_onnx(network)
        if arithmetic == "half weights":
            halve_weights(self._graph)
        elif arithmetic == "fp16":
            self._graph = to_float16(self._graph)
        elif arithmetic == "int8":
            self._graph = quantize(self._graph, _load_evenly(train, _CALIBRATION_STRIPS))
        self._metadata = draft_metadata(state, calibration, identity, train, arithmetic)
        self.session = GraphSession(self._graph, path)

    def finish(
        self, profiles: TunedProfiles, strips: Sequence[LabelledStrip], *, gated: bool
    ) -> ModelMetadata:
        """Compare the graph with torch on ``strips``, and write it with its metadata to ``path``.

        Args:
            profiles: thresholds and scores.
            strips: strips of the comparison.
            gated: skip the decoder on strips without any class.

        Raises:
            ParityError: if the graph answers differently.
        """
        inspection = profiles.points["inspection"]
        compared = [_GOLDEN, *strips]
        parity = check_parity(self.reference, self.session, compared, inspection, self.arithmetic)
        gate = _lowest_class_thresholds(list(profiles.points.values())) if gated else None
        metadata = self._metadata.complete(
            profiles=_metadata_profiles(profiles),
            parity=parity,
            golden=_golden(self.session, inspection),
            gate=gate,
            review_bands=profiles.review_bands,
        )
        if gate is not None:
            gate_decoder(self._graph, gate)
        write_onnx(self._graph, metadata, self.path)
        session = OrtSession(self.path)
        prove(session)
        if gate is not None:
            _check_gate(self.session, session, gate, compared)
        return metadata


def _metadata_profiles(profiles: TunedProfiles) -> tuple[Profile, ...]:
    return tuple(
        Profile(
            name=name,
            description=_DESCRIPTIONS[name],
            tuned_on=profiles.tuned_on,
            measured_on=profiles.measured_on,
            scores=tuple(profiles.scores[name]),
            **point.model_dump(),
        )
        for name, point in profiles.points.items()
    )


def _golden(session: SupportsInfer, point: OperatingPoint) -> Golden:
    """Run the golden strip and return it with its outputs."""
    strip: Strip = _GOLDEN.load()[0] // 8 * 8  # fewer grey values make a smaller PNG
    classes, masks = session.infer([strip])[0]
    first, second, third, fourth = (
        rle.encode(masks[index] >= byte_threshold(point.threshold[index])) for index in range(CLASS_COUNT)
    )
    a, b, c, d = (float(value) for value in classes)
    return Golden(
        strip_png=png_base64(strip),
        class_probability=(a, b, c, d),
        rle=(first, second, third, fourth),
    )


def _load_evenly(strips: Sequence[LabelledStrip], count: int) -> list[Strip]:
    """Load up to ``count`` strips, evenly spaced over the list."""
    chosen = np.unique(np.linspace(0, len(strips) - 1, min(count, len(strips))).astype(int))
    return [strips[index].load()[0] for index in chosen]


def _lowest_class_thresholds(points: Sequence[OperatingPoint]) -> FourFractions:
    first, second, third, fourth = (
        min(point.class_threshold[index] for point in points) for index in range(CLASS_COUNT)
    )
    return first, second, third, fourth


def _check_gate(
    ungated: SupportsInfer, gated: SupportsInfer, gate: FourFractions, strips: Sequence[LabelledStrip]
) -> None:
    """Check that the gate changes only masks of strips on which no class reaches its threshold.

    Raises:
        ParityError: if a class probability or another mask differs.
    """
    for strip in strips:
        image, _ = strip.load()
        (expected,), (answer,) = ungated.infer([image]), gated.infer([image])
        shows = any(float(value) >= least for value, least in zip(expected.classes, gate, strict=True))
        masks = expected.masks if shows else np.zeros_like(expected.masks)
        if not (np.array_equal(answer.classes, expected.classes) and np.array_equal(answer.masks, masks)):
            raise ParityError(f"the gated graph answers {strip.name} differently; nothing was written")
