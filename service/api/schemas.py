"""The JSON of answers."""

from typing import Literal

from pydantic import BaseModel, Field

from service.geometry import CLASS_COUNT
from service.model.metadata import Calibration, DefectClass, Parity, Profile, Provenance
from service.problem import Problem


class ModelSummary(BaseModel):
    """The model that answered, and its device."""

    name: str = Field(description="of the model")
    version: str = Field(description="a whole number, as text")
    sha256: str = Field(description="hash of the model file")
    provider: str = Field(description="onnxruntime's execution provider", examples=["CPUExecutionProvider"])
    precision: str = Field(examples=["fp32"], description="arithmetic of the file")
    fallback_reason: str | None = Field(
        None, description="only with device=auto: why the model runs on the CPU"
    )


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

    `[0, 0]` is the upper left corner of the strip, x points to the right and y down.
    """

    type: Literal["MultiPolygon"] = Field(description="GeoJSON's name of the geometry")
    coordinates: list[list[list[tuple[int, int]]]] = Field(
        description="polygons; each is a list of rings, the outer one first; each of these a list of x and y"
    )


class InstanceResult(BaseModel):
    """One connected defect; pixels connect by their edges. The upper left corner of the strip is `0, 0`."""

    class_id: int = Field(ge=1, le=CLASS_COUNT, description="1 to 4")
    score: float = Field(description="mean probability of its pixels")
    bbox: tuple[int, int, int, int] = Field(description="left, top, width, height")
    area: int = Field(description="pixels")
    centroid: tuple[float, float] = Field(description="x and y; the middle of the first pixel is 0.5, 0.5")
    bbox_mm: tuple[float, float, float, float] | None = Field(None, description="with mm_per_px")
    area_mm2: float | None = Field(None, description="with mm_per_px")
    centroid_mm: tuple[float, float] | None = Field(None, description="with mm_per_px")


class ClassResult(BaseModel):
    """One class of defect on one strip."""

    class_id: int = Field(ge=1, le=CLASS_COUNT, description="1 to 4, as in Kaggle's data set")
    name: str = Field(description="of the class, by the model file")
    present: bool = Field(
        description="whether the strip holds a defect of this class, by the profile's thresholds"
    )
    probability: float = Field(description="probability that the strip holds a defect of this class")
    area: int = Field(description="pixels of the mask")
    area_mm2: float | None = Field(None, description="with mm_per_px")
    rle: str | None = Field(
        None, description="with mask_format=rle: Kaggle's run-length code; empty if not present"
    )
    coco_rle: CocoRle | None = Field(None, description="with mask_format=coco_rle or coco_rle_uncompressed")
    polygon: MultiPolygon | None = Field(None, description="with mask_format=polygon")


class ImageResult(BaseModel):
    """One file of the request. A file that was refused has `status` and `problem` instead of classes."""

    filename: str | None = Field(None, description="as received, or as in X-Filename")
    status: int = Field(description="200, or the status that this file alone would get")
    width: int | None = Field(None, description="pixels")
    height: int | None = Field(None, description="pixels")
    sha256: str | None = Field(None, description="hash of the file's bytes")
    defect: bool | None = Field(None, description="whether any class is present")
    defect_probability: float | None = Field(None, description="the highest of the classes' probabilities")
    classes: list[ClassResult] | None = Field(None, description="all four classes, in order")
    png: str | None = Field(
        None,
        description="with mask_format=png: the masks of all classes as a grey PNG in base64, bit "
        "`class_id - 1` of a pixel for its class",
    )
    maps: str | None = Field(
        None,
        description="with maps=true: 255 x probability of every pixel as a grey PNG in base64, 1600 wide, "
        "the maps of the four classes one below the other; all 0 if all classes are ruled out",
    )
    instances: list[InstanceResult] | None = Field(
        None, description="with instances=true: connected defects, the largest of each class first"
    )
    problem: Problem | None = Field(None, description="the reason, if this file was refused")


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
    mm_per_px: tuple[float, float] | None = Field(
        None, description="with mm_per_px: width and height of a pixel in millimetres, as understood"
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

    width: int = Field(description="of a strip, in pixels")
    height: int = Field(description="of a strip, in pixels")
    classes: tuple[DefectClass, ...] = Field(description="of defects")
    profiles: tuple[Profile, ...] = Field(description="operating points, each with its scores")
    split: SplitInfo = Field(description="numbers of strips for training and measuring")
    provenance: Provenance = Field(description="training data, date and software")
    calibration: Calibration = Field(description="calibration of the class probabilities")
    parity: Parity = Field(description="difference between the file and the network in torch")


class ReloadResponse(BaseModel):
    """The result of a reload."""

    changed: bool = Field(description="whether another model answers now")
    model: ModelSummary = Field(description="the model that answers")


class Health(BaseModel):
    """State of the service."""

    status: Literal["live", "ready"] = Field(description="live or ready; otherwise the answer is a problem")
