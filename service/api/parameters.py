"""Request parameters: their models and parsers, and the operating point that they choose."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.errors import InvalidParameterError
from service.geometry import CLASS_COUNT, BitDepth
from service.http.body_limit import DEADLINE_HEADER
from service.inference.prediction import PredictOptions
from service.masks.formats import MaskFormat
from service.model.metadata import ModelMetadata, Profile
from service.settings import Settings

Q = TypeVar("Q", bound=BaseModel)

DeadlineMs = Annotated[int, Field(ge=1, le=86_400_000)]

_DEADLINE_MS: TypeAdapter[int] = TypeAdapter(DeadlineMs)
_LISTS = ("class_threshold", "threshold", "min_area", "mm_per_px")
_MAX_MM_PER_PX = 1000
_MAX_PIXEL_RATIO = 2
_ONE_OR_FOUR = f"one value or {CLASS_COUNT} separated by commas"


def parse_thresholds(text: str) -> tuple[float, float, float, float]:
    """Parse one fraction for all classes, or one per class.

    Raises:
        ValueError: if the text is anything else.
    """
    values = _numbers(text)
    if len(values) not in (1, CLASS_COUNT) or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"expected {_ONE_OR_FOUR}, each from 0 to 1, got {text!r}")
    first, second, third, fourth = values * CLASS_COUNT if len(values) == 1 else values
    return first, second, third, fourth


def parse_areas(text: str) -> tuple[int, int, int, int]:
    """Parse one whole number of pixels for all classes, or one per class.

    Raises:
        ValueError: if the text is anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, CLASS_COUNT) or not all(
        part.isascii() and part.isdigit() and len(part) < 8 for part in parts
    ):
        raise ValueError(f"expected {_ONE_OR_FOUR}, each a whole number of pixels, got {text!r}")
    values = [int(part) for part in parts]
    first, second, third, fourth = values * CLASS_COUNT if len(values) == 1 else values
    return first, second, third, fourth


def parse_mm_per_px(text: str) -> tuple[float, float]:
    """Parse the size of a pixel in millimetres: one number, or width and height.

    Width and height that differ by more than a factor of 2 must be separated by an ``x``: ``1,5`` may be the
    decimal comma of many countries.

    Raises:
        ValueError: if the text is anything else.
    """
    values = _numbers(text.replace("x", ",", 1))
    if len(values) not in (1, 2) or not all(0 < value <= _MAX_MM_PER_PX for value in values):
        raise ValueError(
            "expected the millimetres of a pixel, one number or width and height separated by a comma, each "
            f"above 0 and at most {_MAX_MM_PER_PX}, got {text!r}"
        )
    if "x" not in text and max(values) > _MAX_PIXEL_RATIO * min(values):
        width, height = values
        raise ValueError(
            f"expected a decimal point, or {width:g}x{height:g} if pixels are {width:g} mm wide and "
            f"{height:g} mm high, got {text!r}"
        )
    return values[0], values[-1]


def _numbers(text: str) -> list[float]:
    """Split numbers at commas; an empty list if one of them is not a number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _parsed_by(parse: Callable[[str], object]) -> AfterValidator:
    """Validate a parameter with a parser and keep its text, so that the OpenAPI document has a string."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


class OperatingPointQuery(BaseModel):
    """Query parameters that choose thresholds and minimum areas."""

    model_config = ConfigDict(extra="forbid")

    profile: str | None = Field(
        None,
        description="The operating point: thresholds and minimum areas per class, measured on validation "
        "and stored in the model file (`GET /model` lists them). `inspection`, the default unless "
        "`STEEL_PROFILE` names another, keeps a recall floor per class; `kaggle` maximises mean Dice, which "
        "pays for missing rare defects.",
        examples=["inspection", "kaggle"],
    )
    class_threshold: Annotated[str, _parsed_by(parse_thresholds)] | None = Field(
        None,
        description=f"Overrides the profile's class thresholds: {_ONE_OR_FOUR}, each from 0 to 1. A class "
        "of a lower probability is not present.",
        examples=["0.1", "0.1,0.1,0.2,0.2"],
    )
    threshold: Annotated[str, _parsed_by(parse_thresholds)] | None = Field(
        None,
        description=f"Overrides the profile's pixel thresholds: {_ONE_OR_FOUR}, each from 0 to 1.",
        examples=["0.5", "0.5,0.4,0.5,0.6"],
    )
    min_area: Annotated[str, _parsed_by(parse_areas)] | None = Field(
        None,
        description=f"Overrides the profile's minimum areas in pixels: {_ONE_OR_FOUR}.",
        examples=["300", "200,200,300,500"],
    )
    bits: BitDepth | None = Field(
        None,
        description="Bits that the camera uses of each pixel of a 16-bit file; without it, all 16 must be in "
        "use. `STEEL_BITS` sets another default.",
    )

    def options(self, metadata: ModelMetadata, settings: Settings) -> tuple[Profile, PredictOptions]:
        """Return the operating point and the options of the predictions.

        Raises:
            InvalidParameterError: if the model has no such profile.
        """
        point = operating_point(metadata, self, settings.profile)
        bits = self.bits or settings.bits
        return point, PredictOptions(point, bits=int(bits) if bits else None)


class PredictQuery(OperatingPointQuery):
    """Query parameters of /predict."""

    mask_format: MaskFormat = Field(
        "rle",
        description="Format of the masks. `rle`: Kaggle's run-length code, pairs of start and length, "
        "pixels numbered from 1, top to bottom, then left to right. `coco_rle`: as pycocotools writes it; "
        "`coco_rle_uncompressed`: with a list of counts. `polygon`: a GeoJSON MultiPolygon along the edges "
        "of pixels, with holes. `png`: one grey PNG for all classes, in base64, bit `class_id - 1` of a "
        "pixel for its class. `none` leaves masks out.",
    )
    instances: bool = Field(
        False,
        description="Also list every connected defect with class, score, bounding box, area and centroid.",
    )
    maps: bool = Field(
        False,
        description="Also give the probability of every pixel and class, to try thresholds without further "
        "requests.",
    )
    strip: bool = Field(
        False,
        description="Also give the grey pixels that the model gets, of 8 bits and as the file stores them, "
        "to show masks on: viewers turn some files, and show some 16-bit files black.",
    )
    mm_per_px: Annotated[str, _parsed_by(parse_mm_per_px)] | None = Field(
        None,
        description="Millimetres of a pixel, or its width and height separated by a comma, or by an `x` if "
        "they differ by more than a factor of 2: adds `_mm` and `_mm2` to areas, boxes and centroids.",
        examples=["0.5", "0.5,0.4"],
    )

    def options(self, metadata: ModelMetadata, settings: Settings) -> tuple[Profile, PredictOptions]:
        """Return the operating point and the options of the predictions; see ``OperatingPointQuery``."""
        point, options = super().options(metadata, settings)
        return point, replace(options, mask_format=self.mask_format, instances=self.instances, maps=self.maps)

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Width and height of a pixel in millimetres; None if the request has none."""
        return None if self.mm_per_px is None else parse_mm_per_px(self.mm_per_px)


def parse_query(parameters: Iterable[tuple[str, str]], model: type[Q]) -> Q:
    """Validate query parameters.

    A parameter of several values may be repeated, as HTTP clients write lists.

    Args:
        parameters: names and values, as received.
        model: validates them.

    Raises:
        InvalidParameterError: if a value is not allowed, or a parameter does not exist or is ambiguous.
    """
    values: dict[str, str] = {}
    for name, value in parameters:
        if name not in values:
            values[name] = value
        elif name in _LISTS:
            values[name] += f",{value}"
        else:
            raise InvalidParameterError(name, f"{name}: expected one value, got several")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_parameter(error.errors()) from error


def parse_deadline_ms(headers: Mapping[str, str]) -> int | None:
    """Parse ``X-Deadline-Ms``; None if the request has no such header.

    Raises:
        InvalidParameterError: if it is not a whole number, or out of range.
    """
    text = headers.get(DEADLINE_HEADER)
    if text is None:
        return None
    try:
        return _DEADLINE_MS.validate_python(text)
    except ValidationError as error:
        raise invalid_parameter(error.errors(), DEADLINE_HEADER) from error


def operating_point(metadata: ModelMetadata, query: OperatingPointQuery, default: str) -> Profile:
    """Return the profile that a query names, or else the default one, with the query's overrides.

    Raises:
        InvalidParameterError: if the model has no such profile, or computes no masks at a class threshold.
    """
    name = default if query.profile is None else query.profile
    profile = next((one for one in metadata.profiles if one.name == name), None)
    if profile is None:
        names = ", ".join(one.name for one in metadata.profiles)
        raise InvalidParameterError("profile", f"profile: expected one of {names}, got {name!r}")
    changes: dict[str, object] = {}
    if query.class_threshold is not None:
        thresholds = parse_thresholds(query.class_threshold)
        lowest = metadata.gate or (0.0,) * CLASS_COUNT
        if any(value < least for value, least in zip(thresholds, lowest, strict=True)):
            least = ",".join(f"{value:g}" for value in lowest)
            raise InvalidParameterError(
                "class_threshold",
                f"class_threshold: expected at least {least}, below which the model computes no masks, got "
                f"{query.class_threshold!r}",
            )
        changes["class_threshold"] = thresholds
    if query.threshold is not None:
        changes["threshold"] = parse_thresholds(query.threshold)
    if query.min_area is not None:
        changes["min_area"] = parse_areas(query.min_area)
    return profile.model_copy(update=changes) if changes else profile


def invalid_parameter(errors: Any, name: str | None = None) -> InvalidParameterError:
    """Describe the first of pydantic's errors.

    Args:
        errors: as pydantic and FastAPI list them.
        name: of the parameter; None takes it from the error.
    """
    first = errors[0]
    name = str(first["loc"][-1]) if name is None else name
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such parameter"
    return InvalidParameterError(name, f"{name}: {message}")
