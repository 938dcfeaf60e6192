"""A model file in two steps: a draft that can be measured, then one that says what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.synthetic import DrawnStrip
from model_export.errors import ParityError
from model_export.evaluation.torch_session import TorchSession
from model_export.network.steel_network import ServedNetwork
from model_export.onnx_export import onnx_file
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.gate import gate_decoder
from model_export.onnx_export.parity import Arithmetic, check_parity
from model_export.onnx_export.provenance import provenance
from model_export.onnx_export.quantize import quantize
from model_export.training.checkpoint import Checkpoint, restore_network
from service.geometry import CLASS_COUNT, HEIGHT, WIDTH, Strip
from service.masks import rle
from service.model.loading import prove
from service.model.metadata import (
    FORMAT_VERSION,
    Calibration,
    ClassScore,
    DefectClass,
    FourFractions,
    Golden,
    ModelMetadata,
    OperatingPoint,
    Parity,
    Profile,
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
"""Strips that the ranges of int8 activations are read from; more changed nothing."""


@dataclass(frozen=True)
class Label:
    """What to call a model, and how it gates its masks."""

    name: str
    version: int
    class_names: tuple[str, str, str, str]
    notice: str
    soft_gate: bool


@dataclass(frozen=True)
class Findings:
    """What was chosen and measured, and on which strips."""

    points: Mapping[str, OperatingPoint]
    scores: Mapping[str, Sequence[ClassScore]]
    tuned_on: str
    measured_on: str


class Draft:
    """A checkpoint as an ONNX file that can already answer, but has no thresholds or scores yet.

    Args:
        state: the checkpoint.
        calibration: the temperature for its class probabilities.
        label: what to call the model.
        train: the strips that it learned from; int8 takes the ranges of its activations from some.
        path: where to write.
        arithmetic: of the file.
    """

    def __init__(
        self,
        state: Checkpoint,
        calibration: Calibration,
        label: Label,
        train: Sequence[LabelledStrip],
        path: Path,
        arithmetic: Arithmetic,
    ) -> None:
        network = ServedNetwork(restore_network(state), calibration.temperature, soft_gate=label.soft_gate)
        self.reference = TorchSession(network)
        self.path = path
        self.arithmetic = arithmetic
        self._graph = onnx_file.to_onnx(network)
        if arithmetic == "half weights":
            onnx_file.halve_weights(self._graph)
        elif arithmetic == "fp16":
            self._graph = to_float16(self._graph)
        elif arithmetic == "int8":
            self._graph = quantize(self._graph, _some(train, _CALIBRATION_STRIPS))
        self._golden_strip: Strip = _GOLDEN.load()[0] // 8 * 8  # fewer grey values make a smaller PNG
        self._metadata = _draft(state, calibration, label, train, self._golden_strip, arithmetic)
        onnx_file.write(self._graph, self._metadata, path)
        self.session = OrtSession(path)

    def finish(self, findings: Findings, strips: Sequence[LabelledStrip], *, gated: bool) -> ModelMetadata:
        """Compare the file with torch on ``strips`` and write the findings into it.

        Args:
            findings: thresholds and scores.
            strips: what file and network are compared on.
            gated: whether strips without any class should skip the decoder.

        Raises:
            ParityError: if the file answers differently.
        """
        inspection = findings.points["inspection"]
        compared = [_GOLDEN, *strips]
        parity = check_parity(self.reference, self.session, compared, inspection, self.arithmetic)
        gate = _lowest_class_thresholds(list(findings.points.values())) if gated else None
        metadata = self._metadata.model_copy(
            update={
                "profiles": tuple(
                    Profile(
                        name=name,
                        description=_DESCRIPTIONS[name],
                        tuned_on=findings.tuned_on,
                        measured_on=findings.measured_on,
                        scores=tuple(findings.scores[name]),
                        **point.model_dump(),
                    )
                    for name, point in findings.points.items()
                ),
                "parity": parity,
                "golden": self._golden(inspection),
                "gate": gate,
            }
        )
        if gate is not None:
            gate_decoder(self._graph, gate)
        onnx_file.write(self._graph, metadata, self.path)
        session = OrtSession(self.path)
        prove(session)
        if gate is not None:
            _check_gate(self.session, session, gate, compared)
        return metadata

    def _golden(self, point: OperatingPoint) -> Golden:
        classes, masks = self.session.infer([self._golden_strip])[0]
        first, second, third, fourth = (
            rle.encode(masks[index] >= byte_threshold(point.threshold[index])) for index in range(CLASS_COUNT)
        )
        a, b, c, d = (float(value) for value in classes)
        return Golden(
            strip_png=png_base64(self._golden_strip),
            class_probability=(a, b, c, d),
            rle=(first, second, third, fourth),
        )


def _some(strips: Sequence[LabelledStrip], count: int) -> list[Strip]:
    """Load some strips, evenly from the whole list."""
    chosen = np.unique(np.linspace(0, len(strips) - 1, min(count, len(strips))).astype(int))
    return [strips[index].load()[0] for index in chosen]


def _lowest_class_thresholds(points: Sequence[OperatingPoint]) -> FourFractions:
    first, second, third, fourth = (
        min(point.class_threshold[index] for point in points) for index in range(CLASS_COUNT)
    )
    return first, second, third, fourth


def _check_gate(
    open_: OrtSession, gated: OrtSession, gate: FourFractions, strips: Sequence[LabelledStrip]
) -> None:
    """Raise ParityError unless the gated file answers as the open one, or no masks where no class shows."""
    for strip in strips:
        image, _ = strip.load()
        (expected,), (answer,) = open_.infer([image]), gated.infer([image])
        shows = any(float(value) >= least for value, least in zip(expected.classes, gate, strict=True))
        masks = expected.masks if shows else np.zeros_like(expected.masks)
        if not (np.array_equal(answer.classes, expected.classes) and np.array_equal(answer.masks, masks)):
            raise ParityError(f"the gated graph answers {strip.name} differently; nothing was written")


def _draft(
    state: Checkpoint,
    calibration: Calibration,
    label: Label,
    train: Sequence[LabelledStrip],
    golden: Strip,
    arithmetic: Arithmetic,
) -> ModelMetadata:
    """Metadata before anything was measured: enough to open a session."""
    half = OperatingPoint(class_threshold=(0, 0, 0, 0), threshold=(0.5,) * 4, min_area=(0, 0, 0, 0))
    first, second, third, fourth = (
        DefectClass(id=number, name=name) for number, name in enumerate(label.class_names, 1)
    )
    return ModelMetadata(
        format_version=FORMAT_VERSION,
        name=label.name,
        version=str(label.version),
        precision="fp32, weights kept in fp16" if arithmetic == "half weights" else arithmetic,
        height=HEIGHT,
        width=WIDTH,
        classes=(first, second, third, fourth),
        profiles=(
            Profile(
                name="draft", description="", tuned_on="", measured_on="", scores=(), **half.model_dump()
            ),
        ),
        split=state.split,
        provenance=provenance(state, train, label.notice),
        calibration=calibration,
        parity=Parity(
            strips=0,
            max_class_probability_difference=0,
            max_mask_byte_difference=0,
            pixel_agreement=0,
            max_dice_difference=0,
        ),
        golden=Golden(strip_png=png_base64(golden), class_probability=(0, 0, 0, 0), rle=("", "", "", "")),
    )
