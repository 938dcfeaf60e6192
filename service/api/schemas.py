"""The JSON of answers."""

from typing import Literal

from pydantic import BaseModel, Field

from service.model.health import Fault
from service.model.metadata import (
    Calibration,
    DefectClass,
    HealthLimits,
    Parity,
    Profile,
    Provenance,
    ReviewBands,
)
from service.model.verdict import VerdictName
from service.problem import Problem, optional


class ModelSummary(BaseModel):
    """The model that answered, and its device."""

    name: str = Field(description="of the model")
    version: str = Field(description="a whole number, as text")
    sha256: str = Field(description="hash of the model file")
    provider: str = Field(description="onnxruntime's execution provider", examples=["CPUExecutionProvider"])
    precision: str = Field(examples=["fp32"], description="arithmetic of the file")
    fallback_reason: str | None = optional(description="only with device=auto: why the model runs on the CPU")


class ProfileUsed(BaseModel):
    """The operating point of this answer, overrides included. One value per class, in order."""

    name: str = Field(description="as requested")
    class_threshold: tuple[float, ...] = Field(
        description="a class whose probability is below this is not present"
    )
    threshold: tuple[float, ...] = Field(description="a pixel belongs to the mask from this probability on")
    min_area: tuple[int, ...] = Field(description="a mask of fewer pixels than this in all is dropped")


class CocoRle(BaseModel):
    """A mask as COCO writes it."""

    size: tuple[int, int] = Field(description="height and width", examples=[[256, 1600]])
    counts: str | list[int] = Field(
        description="compressed, a string; uncompressed, lengths of runs down the columns, background first"
    )


class MultiPolygon(BaseModel):
    """A mask as GeoJSON (RFC 7946): per polygon its outer ring, then its holes. Units are pixels.

    `[0, 0]` is the upper left corner of the image, x points to the right and y down.
    """

    type: Literal["MultiPolygon"] = Field(description="GeoJSON's name of the geometry")
    coordinates: list[list[list[tuple[int, int]]]] = Field(
        description="polygons; each is a list of rings, the outer one first; each of these a list of x and y"
    )


class InstanceResult(BaseModel):
    """One connected defect; pixels connect by their edges. The upper left corner of the image is `0, 0`."""

    class_id: int = Field(ge=1, description="of the class, by the model file")
    score: float = Field(description="mean probability of its pixels")
    bbox: tuple[int, int, int, int] = Field(description="left, top, width, height")
    area: int = Field(description="pixels")
    centroid: tuple[float, float] = Field(description="x and y; the middle of the first pixel is 0.5, 0.5")
    bbox_mm: tuple[float, float, float, float] | None = optional(description="with mm_per_px")
    area_mm2: float | None = optional(description="with mm_per_px")
    centroid_mm: tuple[float, float] | None = optional(description="with mm_per_px")


class ClassResult(BaseModel):
    """One class of defect on one image."""

    class_id: int = Field(ge=1, description="of the class, by the model file: as in the labels")
    name: str = Field(description="of the class, by the model file")
    present: bool = Field(
        description="whether the image holds a defect of this class, by the profile's thresholds"
    )
    probability: float = Field(
        description="probability that the image holds a defect of this class; of several tiles, the highest"
    )
    area: int = Field(description="pixels of the mask")
    area_mm2: float | None = optional(description="with mm_per_px")
    rle: str | None = optional(
        description="with mask_format=rle: Kaggle's run-length code; empty if not present"
    )
    coco_rle: CocoRle | None = optional(description="with mask_format=coco_rle or coco_rle_uncompressed")
    polygon: MultiPolygon | None = optional(description="with mask_format=polygon")


class HealthResult(BaseModel):
    """Measures that tell steel from a blind camera; `GET /model` has the limits. See docs/scores.md."""

    fault: Fault | None = optional(description="the reason for `not_inspected`")
    black: float = Field(description="share of columns without steel; the others are measured")
    brightness: float = Field(description="mean grey value, 0 to 255")
    contrast: float = Field(description="standard deviation of the grey values")
    saturated: float = Field(description="share of pixels at the upper end of the grey scale")
    blank: float = Field(description="share of pixels equal to their neighbours")
    sharpness: float = Field(description="mean second difference of grey values")
    noise: float = Field(description="squared difference of neighbours as a share of the variance")
    novelty: float = Field(description="distance from the training strips; about 1 on a typical strip")


class ImageResult(BaseModel):
    """One file of the request.

    A file that was refused has `status` and `problem` instead of classes. A strip that does not look like
    steel has `health` with the fault, `defect: null` and no classes.
    """

    filename: str | None = optional(description="as received, or as in X-Filename")
    status: int = Field(description="200, or the status that this file alone would get")
    verdict: VerdictName = Field(
        description="`defect`: a class is present and likely. `suspect`: a class may be there, a person has "
        "to look: its probability lies in the review band, or it has no mask. `ok`: neither. "
        "`not_inspected`: nothing is known, since the file was refused or does not show steel, or no defect "
        "is known and a tile of the image does not show steel"
    )
    reason: str = Field(description="of the verdict, in words: classes with probability and area")
    width: int | None = optional(description="of the image, in pixels")
    height: int | None = optional(description="of the image, in pixels")
    tiles: int | None = optional(
        description="number of overlapping parts in which the image was answered, if there are several"
    )
    sha256: str | None = optional(description="hash of the file's bytes")
    defect: bool | None = Field(
        None, description="whether any class is present; null if the strip was not inspected"
    )
    defect_probability: float | None = optional(
        description="the highest probability of the classes that are present, if any is"
    )
    health: HealthResult | None = optional(
        description="measures of the image, or of its tile that is most unlike the training strips; none "
        "with STEEL_HEALTH=off or a model without limits"
    )
    classes: list[ClassResult] | None = optional(description="all classes of the model, in order")
    png: str | None = optional(
        description="with mask_format=png: the masks of all classes as a grey PNG in base64, bit `n` of a "
        "pixel for the `n`-th class, counted from 0; of 8 bits for up to 8 classes, of 16 for up to 16",
    )
    maps: str | None = optional(
        description="with maps=true: 255 x probability of every pixel as a grey PNG in base64, as wide as "
        "the image, the maps of the classes one below the other; all 0 if all classes are ruled out",
    )
    strip: str | None = optional(
        description="with strip=true: the grey pixels that the model gets, as a PNG in base64"
    )
    instances: list[InstanceResult] | None = optional(
        description="with instances=true: connected defects, the largest of each class first"
    )
    problem: Problem | None = optional(description="the reason, if this file was refused")


class TimingMs(BaseModel):
    """Milliseconds per stage, each of the slowest strip: strips of one request run in parallel."""

    decode: float = Field(description="reading the image")
    queue: float = Field(description="waiting for the model")
    inference: float = Field(description="the model, its whole batch")
    postprocess: float = Field(description="from probabilities to masks and their codes")
    total: float = Field(description="from the complete body to the answer")


class PredictResponse(BaseModel):
    """The answer of /predict."""

    model: ModelSummary = Field(description="the model that answered")
    profile: ProfileUsed = Field(description="the operating point that was used")
    mm_per_px: tuple[float, float] | None = optional(
        description="with mm_per_px: width and height of a pixel in millimetres, as understood"
    )
    images: list[ImageResult] = Field(description="an entry per file, in the order of the request")
    timing_ms: TimingMs = Field(description="duration of the stages")


class SplitInfo(BaseModel):
    """The sets of strips that the model was trained and measured on."""

    strategy: str = Field(description="in words")
    seed: int = Field(description="of the shuffle")
    train: int = Field(description="strips")
    validation: int = Field(description="strips")
    test: int = Field(description="strips")


class ModelInfo(ModelSummary):
    """The metadata of the model file."""

    width: int = Field(description="of a tile, the network's input, in pixels")
    height: int = Field(description="of a tile, in pixels")
    pad: bool = Field(description="whether smaller images are padded by mirroring, if a request does not say")
    classes: tuple[DefectClass, ...] = Field(description="of defects")
    profiles: tuple[Profile, ...] = Field(description="operating points, each with its scores")
    split: SplitInfo = Field(description="numbers of strips for training and measuring")
    provenance: Provenance = Field(description="training data, date and software")
    calibration: Calibration = Field(description="calibration of the class probabilities")
    parity: Parity = Field(description="difference between the file and the network in torch")
    health: HealthLimits | None = Field(description="limits beyond which strips are not inspected")
    gate: tuple[float, ...] | None = Field(
        description="per class, the lowest class threshold that a request may ask for: below it the model "
        "computes no masks; null if there is none"
    )
    review_bands: ReviewBands | None = Field(
        description="per class, the probabilities between which a strip is `suspect`, widened to hold the "
        "class threshold"
    )


class ReloadResponse(BaseModel):
    """The result of a reload."""

    changed: bool = Field(description="whether another model answers now")
    model: ModelSummary = Field(description="the model that answers")


class Health(BaseModel):
    """State of the service."""

    status: Literal["live", "ready"] = Field(description="live or ready; otherwise the answer is a problem")
