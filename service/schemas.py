"""The JSON that goes out, and the query parameters that come in."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.metadata import CLASS_COUNT, Calibration, DefectClass, Parity, Profile, Provenance

ONE_OR_FOUR = f"one value, or {CLASS_COUNT} separated by commas"


def parse_thresholds(text: str) -> tuple[float, float, float, float]:
    """Read one fraction or four.

    Raises:
        ValueError: saying what is allowed.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, CLASS_COUNT) or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"{ONE_OR_FOUR}, each from 0 to 1, is wanted; got {text!r}")
    first, second, third, fourth = values * CLASS_COUNT if len(values) == 1 else values
    return first, second, third, fourth


def parse_areas(text: str) -> tuple[int, int, int, int]:
    """Read one whole number of pixels or four.

    Raises:
        ValueError: saying what is allowed.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, CLASS_COUNT) or not all(
        part.isascii() and part.isdigit() and len(part) < 8 for part in parts
    ):
        raise ValueError(f"{ONE_OR_FOUR}, each a whole number of pixels, is wanted; got {text!r}")
    values = [int(part) for part in parts]
    first, second, third, fourth = values * CLASS_COUNT if len(values) == 1 else values
    return first, second, third, fourth


def _checked_thresholds(text: str) -> str:
    parse_thresholds(text)
    return text


def _checked_areas(text: str) -> str:
    parse_areas(text)
    return text


class SegmentQuery(BaseModel):
    """What a caller may choose about the masks."""

    model_config = ConfigDict(extra="forbid")

    profile: str = Field(
        "inspection",
        description="The operating point: thresholds and minimum areas per class, measured on validation "
        "and stored in the model file (`GET /model` lists them). `inspection` keeps a recall floor per "
        "class; `kaggle` maximises mean Dice, which pays for missing rare defects.",
        examples=["inspection", "kaggle"],
    )
    threshold: Annotated[str, AfterValidator(_checked_thresholds)] | None = Field(
        None,
        description=f"Overrides the profile's pixel thresholds: {ONE_OR_FOUR}, each from 0 to 1.",
        examples=["0.5", "0.5,0.4,0.5,0.6"],
    )
    min_area: Annotated[str, AfterValidator(_checked_areas)] | None = Field(
        None,
        description=f"Overrides the profile's minimum areas in pixels: {ONE_OR_FOUR}.",
        examples=["300", "200,200,300,500"],
    )


class PredictQuery(SegmentQuery):
    """What a caller may choose about the answer of /predict."""

    mask_format: Literal["rle", "none"] = Field(
        "rle",
        description="How masks are written. `rle` is Kaggle's run-length code: pairs of start and length, "
        "pixels numbered from 1, top to bottom, then left to right. `none` leaves masks out.",
    )


class Problem(BaseModel):
    """An error as RFC 9457 describes it, sent as `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="identifies the kind of problem", examples=["urn:steel:problem:invalid-image"]
    )
    title: str = Field(examples=["Invalid image"])
    status: int = Field(examples=[422])
    detail: str = Field(
        description="what came and what is wanted",
        examples=["the PNG is 800 wide and 600 high; 1600 wide and 256 high is wanted"],
    )
    parameter: str | None = Field(None, description="the parameter that is wrong, if one is")
    request_id: str | None = Field(None, description="as in the X-Request-Id header and the service's log")


class ModelSummary(BaseModel):
    """Which model answered, and where it ran."""

    name: str
    version: str
    sha256: str = Field(description="hash of the model file")
    provider: str = Field(description="onnxruntime's execution provider", examples=["CPUExecutionProvider"])
    precision: str = Field(examples=["fp32"])
    fallback_reason: str | None = Field(
        None, description="only with device=auto: why the model runs on the CPU"
    )


class ProfileUsed(BaseModel):
    """The operating point of this answer, overrides included. One value per class, in order."""

    name: str
    class_threshold: tuple[float, ...] = Field(
        description="a class whose probability is below this is not present"
    )
    threshold: tuple[float, ...] = Field(description="a pixel belongs to the mask from this probability on")
    min_area: tuple[int, ...] = Field(description="a mask of fewer pixels than this in all is dropped")


class ClassResult(BaseModel):
    """One class of defect on one strip."""

    class_id: int = Field(ge=1, le=CLASS_COUNT)
    name: str
    present: bool
    probability: float = Field(description="probability that the strip holds a defect of this class")
    area: int = Field(description="pixels of the mask")
    rle: str | None = Field(
        None,
        description="Kaggle's run-length code; empty if not present; left out with mask_format=none",
    )


class ImageResult(BaseModel):
    """One file of the request. A file that was refused has `status` and `problem` instead of classes."""

    filename: str | None = None
    status: int = Field(description="200, or what this file alone would have been answered with")
    width: int | None = None
    height: int | None = None
    sha256: str | None = Field(None, description="hash of the file's bytes")
    defect: bool | None = Field(None, description="whether any class is present")
    defect_probability: float | None = Field(None, description="the highest of the classes' probabilities")
    classes: list[ClassResult] | None = Field(None, description="all four classes, in order")
    problem: Problem | None = None


class TimingMs(BaseModel):
    """Milliseconds. Strips of one request run side by side: each stage is that of the slowest."""

    decode: float
    queue: float
    inference: float
    postprocess: float
    total: float = Field(description="from the complete body to the answer")


class PredictResponse(BaseModel):
    """The answer of /predict: files in the order they came."""

    model: ModelSummary
    profile: ProfileUsed
    images: list[ImageResult]
    timing_ms: TimingMs


class SplitInfo(BaseModel):
    """How the strips were divided, in numbers."""

    strategy: str
    seed: int
    train: int
    validation: int
    test: int


class ModelInfo(ModelSummary):
    """Everything that the model file says of itself."""

    width: int
    height: int
    classes: tuple[DefectClass, ...]
    profiles: tuple[Profile, ...]
    split: SplitInfo
    provenance: Provenance
    calibration: Calibration
    parity: Parity


class ReloadResponse(BaseModel):
    """What a reload came to."""

    changed: bool = Field(description="whether another model answers now")
    model: ModelSummary = Field(description="the model that answers")


class Health(BaseModel):
    """State of the service."""

    status: Literal["live", "ready"]
