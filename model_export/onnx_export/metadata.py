"""Metadata of a model file before and after its measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_export.data.classes import Classes
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile
from model_export.onnx_export.health_limits import learn_health_limits
from model_export.onnx_export.parity import Arithmetic
from model_export.onnx_export.provenance import provenance
from model_export.training.checkpoint import Checkpoint
from service.model.metadata import (
    FORMAT_VERSION,
    Calibration,
    ClassFractions,
    Golden,
    HealthLimits,
    ModelMetadata,
    Parity,
    Profile,
    Provenance,
    ReviewBands,
    Split,
)


@dataclass(frozen=True)
class ModelIdentity:
    """Name, version and classes of a model, and what its card says besides."""

    name: str
    version: int
    classes: Classes
    notice: str
    """Owners and licences of the data and of the first weights."""
    int8_problem: str = ""
    """Why the file is not int8, if it was to be."""


@dataclass(frozen=True)
class DraftMetadata:
    """The part of the metadata that is known before the file is measured."""

    name: str
    version: str
    precision: str
    tile: Tile
    classes: Classes
    split: Split
    provenance: Provenance
    calibration: Calibration
    health: HealthLimits

    def complete(
        self,
        *,
        profiles: tuple[Profile, ...],
        parity: Parity,
        golden: Golden,
        gate: ClassFractions | None,
        review_bands: ReviewBands,
    ) -> ModelMetadata:
        """Return the metadata of the finished file."""
        return ModelMetadata(
            format_version=FORMAT_VERSION,
            name=self.name,
            version=self.version,
            precision=self.precision,
            height=self.tile.height,
            width=self.tile.width,
            pad=self.tile.pad,
            classes=self.classes,
            profiles=profiles,
            split=self.split,
            provenance=self.provenance,
            calibration=self.calibration,
            parity=parity,
            golden=golden,
            gate=gate,
            health=self.health,
            review_bands=review_bands,
        )


def draft_metadata(
    state: Checkpoint,
    calibration: Calibration,
    identity: ModelIdentity,
    train: Sequence[LabelledStrip],
    arithmetic: Arithmetic,
) -> DraftMetadata:
    """Describe a checkpoint that becomes a model file; ``train`` are the strips that it was trained on."""
    origin = provenance(state, train, identity.notice)
    if identity.int8_problem:
        config = origin.config | {"int8": f"left out: {identity.int8_problem}"}
        origin = origin.model_copy(update={"config": config})
    return DraftMetadata(
        name=identity.name,
        version=str(identity.version),
        precision="fp32, weights kept in fp16" if arithmetic == "half weights" else arithmetic,
        tile=state.tile,
        classes=identity.classes,
        split=state.split,
        provenance=origin,
        calibration=calibration,
        health=learn_health_limits(train, state.tile),
    )
