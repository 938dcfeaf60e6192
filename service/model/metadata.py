"""Metadata of a model file: the contract between training and serving."""

import base64
import io
from typing import Annotated, Self

import numpy as np
from PIL import Image as PillowImage
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.geometry import Strip

METADATA_KEY = "steel_defect_model"
FORMAT_VERSION = 1
MAX_CLASSES = 32
"""Classes that a model may have."""
MAX_CLASS_ID = 9999
"""Ids are numbers that people write; they need not be consecutive."""
TILE_STEP = 32
"""Height and width of a tile are multiples of it: the encoder halves them five times."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
ClassFractions = Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=MAX_CLASSES)]
"""One value per class, in the order of ids."""
ReviewBand = tuple[Fraction, Fraction]
ReviewBands = Annotated[tuple[ReviewBand, ...], Field(min_length=1, max_length=MAX_CLASSES)]
ClassAreas = Annotated[
    tuple[int, ...],
    Field(
        min_length=1, max_length=MAX_CLASSES, description="pixels, one value per class in the order of ids"
    ),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DefectClass(_Frozen):
    """One kind of defect."""

    id: int = Field(ge=1, le=MAX_CLASS_ID, description="as in the labels: 1 to 4 in Kaggle's data set")
    name: str = Field(min_length=1, description="of the kind")


class ClassScore(_Frozen):
    """Scores of one class on a set of strips; None if no strip there can show a score."""

    class_id: int = Field(description="id of the class")
    strips_with: int = Field(description="strips whose truth holds the class")
    strips_without: int = Field(description="strips whose truth does not hold the class")
    dice_kaggle: Fraction | None = Field(
        description="mean Dice over all strips as Kaggle defines it: an empty pair counts 1"
    )
    dice_kaggle_all_empty: Fraction | None = Field(
        description="the same score of the answer 'no defect anywhere'"
    )
    dice_positive: Fraction | None = Field(description="mean Dice over the strips that hold the class")
    recall: Fraction | None = Field(description="share of strips with the class that are reported")
    false_alarm_rate: Fraction | None = Field(
        description="share of strips without the class that are reported"
    )
    iou: Fraction | None = Field(
        None, description="mean intersection over union of masks, over the strips that hold the class"
    )
    located_recall: Fraction | None = Field(
        None,
        description="share of strips with the class whose mask is in the right place: IoU of 0.1 or more",
    )
    instance_precision: Fraction | None = Field(
        None, description="share of the connected defects reported that match a true one: IoU of 0.1 or more"
    )
    instance_recall: Fraction | None = Field(
        None, description="share of the true connected defects that match a reported one"
    )


class OperatingPoint(_Frozen):
    """Thresholds and minimum areas of masks, one value per class in the order of ids."""

    class_threshold: ClassFractions = Field(
        description="a class whose image-level probability is below this is not present"
    )
    threshold: ClassFractions = Field(
        description="a pixel belongs to the mask when its probability is at least this"
    )
    min_area: ClassAreas = Field(
        description="a class whose mask has fewer pixels than this in all is not present"
    )


class Profile(OperatingPoint):
    """A named operating point with its scores."""

    name: str = Field(description="value of the parameter `profile`")
    description: str = Field(description="its purpose")
    tuned_on: str = Field(description="the strips on which the numbers above were chosen")
    measured_on: str = Field(description="the strips on which the scores were measured")
    scores: tuple[ClassScore, ...] = Field(description="its scores per class")


class Split(_Frozen):
    """File names of the strips in each set."""

    strategy: str
    seed: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    pixels: tuple[str, ...] | None = None
    """Digest of the pixels of each strip, those of train first, then validation and test; tells whether a
    model has seen a strip, whatever its file is called."""
    ancestors: tuple[str, ...] = ()
    """Digests of further strips that shaped the weights: those of the first weights, and of teachers."""


class Provenance(_Frozen):
    """Origin of the model."""

    created: str = Field(description="date of export, ISO 8601")
    training_data: str = Field(description="the training data, in words")
    notice: str = Field(description="owners and licences of the data and of the initial weights")
    training_data_sha256: str = Field(description="of the label rows and file names of the training")
    code_sha256: str = Field(description="of the sources of model_export")
    config: dict[str, object] = Field(description="the training configuration")
    versions: dict[str, str] = Field(description="of the libraries that trained and exported it")


class Calibration(_Frozen):
    """Temperature scaling of the class probabilities, fitted on strips that did not train the model."""

    temperature: float = Field(gt=0, description="class logits are divided by it, inside the graph")
    strips: int = Field(description="strips it was measured on")
    cross_entropy_before: float = Field(
        description="of the class probabilities with the truth, before they were calibrated"
    )
    cross_entropy_after: float = Field(description="the same afterwards; lower is better")


class Parity(_Frozen):
    """Differences between the exported file and the network in torch, over ``strips`` strips."""

    strips: int = Field(description="strips that were compared")
    max_class_probability_difference: float = Field(description="largest difference of a class's probability")
    max_mask_byte_difference: int = Field(description="of 255")
    pixel_agreement: Fraction = Field(description="share of equal pixels at the inspection thresholds")
    max_dice_difference: Fraction = Field(
        description="of a class's mean Dice on positives, inspection profile"
    )


Range = Annotated[tuple[float, float], Field(description="least and most that is inspected")]
SevenNumbers = tuple[float, float, float, float, float, float, float]


class HealthLimits(_Frozen):
    """Ranges of the measures of ``images.health``, learnt from training strips; others are not inspected."""

    strips: int = Field(description="training strips that were measured")
    black: Range = Field(description="share of columns without steel")
    brightness: Range = Field(description="mean grey value, 0 to 255")
    contrast: Range = Field(description="standard deviation of grey values")
    saturated: Range = Field(description="share of pixels at the upper end of the grey scale")
    blank: Range = Field(description="share of pixels equal to their neighbours")
    sharpness: Range = Field(description="mean second difference of grey values")
    noise: Range = Field(description="squared difference of neighbours as a share of the variance")
    novelty: Range = Field(description="distance from the training strips; about 1 on a typical strip")
    typical: SevenNumbers = Field(description="mean logarithms of the measures above but novelty, in order")
    inverse_covariance: tuple[
        SevenNumbers, SevenNumbers, SevenNumbers, SevenNumbers, SevenNumbers, SevenNumbers, SevenNumbers
    ] = Field(description="of these logarithms")


class Golden(_Frozen):
    """A drawn strip with the exported file's answer; proves a session before it serves."""

    strip_png: str = Field(description="base64 of a grey PNG of a tile")
    class_probability: ClassFractions
    rle: tuple[str, ...] = Field(description="masks at the inspection profile's thresholds")

    def strip(self) -> Strip:
        """Decode the strip."""
        with PillowImage.open(io.BytesIO(base64.b64decode(self.strip_png))) as image:
            return np.asarray(image.convert("L"))


class ModelMetadata(_Frozen):
    """All metadata of a model; stored in the ONNX file's ``metadata_props``."""

    format_version: int = Field(ge=FORMAT_VERSION, le=FORMAT_VERSION)
    name: str
    version: str
    precision: str
    height: int = Field(
        ge=TILE_STEP, multiple_of=TILE_STEP, description="rows of a tile, the network's input"
    )
    width: int = Field(ge=TILE_STEP, multiple_of=TILE_STEP, description="columns of a tile")
    pad: bool = Field(False, description="frames smaller than a tile are padded by mirroring, as in training")
    classes: tuple[DefectClass, ...] = Field(
        min_length=1, max_length=MAX_CLASSES, description="in ascending order of ids"
    )
    profiles: tuple[Profile, ...] = Field(min_length=1)
    split: Split
    provenance: Provenance
    calibration: Calibration
    parity: Parity
    golden: Golden
    gate: ClassFractions | None = Field(
        None,
        description="masks are computed only for strips on which a class reaches this probability and are "
        "empty elsewhere; no profile's class threshold is lower. None: for every strip",
    )

    health: HealthLimits | None = Field(
        None, description="strips beyond these limits are not inspected; None: every strip is"
    )
    review_bands: ReviewBands | None = Field(
        None,
        description="probabilities per class that decide nothing: below the first, at most 2 % of "
        "out-of-fold strips hold the class; from the second on, at least half do. None: the class threshold "
        "decides",
    )

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        """One value per class everywhere, and ids and names that tell classes apart."""
        ids = [item.id for item in self.classes]
        if ids != sorted(set(ids)) or len({item.name for item in self.classes}) < len(ids):
            raise ValueError(
                f"expected classes of different names in ascending order of ids, got {self.classes}"
            )
        lengths = {
            "golden.class_probability": len(self.golden.class_probability),
            "golden.rle": len(self.golden.rle),
        }
        for profile in self.profiles:
            for field in OperatingPoint.model_fields:
                lengths[f"profile {profile.name}.{field}"] = len(getattr(profile, field))
        if self.gate is not None:
            lengths["gate"] = len(self.gate)
        if self.review_bands is not None:
            lengths["review_bands"] = len(self.review_bands)
        for field, length in lengths.items():
            if length != len(ids):
                raise ValueError(f"expected {len(ids)} values in {field}, one per class, got {length}")
        return self

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The ids of the classes, in order."""
        return tuple(kind.id for kind in self.classes)

    def profile(self, name: str) -> Profile | None:
        """Return the profile of this name, or None."""
        return next((profile for profile in self.profiles if profile.name == name), None)


def png_base64(strip: Strip) -> str:
    """Write a strip as the base64 PNG that ``Golden.strip_png`` holds."""
    buffer = io.BytesIO()
    PillowImage.fromarray(strip).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
