"""Request parameters: their models and parsers, and the operating point that they choose."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from service.errors import InvalidParameterError
from service.geometry import BitDepth
from service.http.body_limit import DEADLINE_HEADER
from service.inference.prediction import PredictOptions
from service.masks.formats import PNG_CLASSES, MaskFormat
from service.model.metadata import ModelMetadata, Profile
from service.model.saved_profile import profile_name
from service.settings import Settings

Q = TypeVar("Q", bound=BaseModel)
N = TypeVar("N", int, float)

DeadlineMs = Annotated[int, Field(ge=1, le=86_400_000)]

_DEADLINE_MS: TypeAdapter[int] = TypeAdapter(DeadlineMs)
_LISTS = ("class_threshold", "threshold", "min_area", "mm_per_px")
_MAX_MM_PER_PX = 1000
_MAX_PIXEL_RATIO = 2
_PER_CLASS = "one value, or one per class of the model separated by commas"


def parse_thresholds(text: str, classes: int) -> tuple[float, ...]:
    """Parse one fraction for all classes, or one per class; return one per class.

    Raises:
        ValueError: if the text is anything else.
    """
    values = _numbers(text)
    if len(values) not in (1, classes) or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"expected {_one_or(classes)}, each from 0 to 1, got {text!r}")
    return tuple(values * classes if len(values) == 1 else values)


def parse_areas(text: str, classes: int) -> tuple[int, ...]:
    """Parse one whole number of pixels for all classes, or one per class; return one per class.

    Raises:
        ValueError: if the text is anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, classes) or not all(
        part.isascii() and part.isdigit() and len(part) < 8 for part in parts
    ):
        raise ValueError(f"expected {_one_or(classes)}, each a whole number of pixels, got {text!r}")
    values = [int(part) for part in parts]
    return tuple(values * classes if len(values) == 1 else values)


def _one_or(classes: int) -> str:
    return "one value" if classes == 1 else f"one value or {classes} separated by commas"


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
        try:
            parse(text)
        except ValueError as error:
            # pydantic keeps a ValueError where the garbage collector does not look, and its traceback leads
            # to the request, which leads back: neither would ever be freed.
            raise PydanticCustomError("value_error", "{reason}", {"reason": str(error)}) from None
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
    class_threshold: str | None = Field(
        None,
        description=f"Overrides the profile's class thresholds: {_PER_CLASS}, each from 0 to 1. A class "
        "of a lower probability is not present.",
        examples=["0.1", "0.1,0.1,0.2,0.2"],
    )
    threshold: str | None = Field(
        None,
        description=f"Overrides the profile's pixel thresholds: {_PER_CLASS}, each from 0 to 1.",
        examples=["0.5", "0.5,0.4,0.5,0.6"],
    )
    min_area: str | None = Field(
        None,
        description=f"Overrides the profile's minimum areas in pixels: {_PER_CLASS}. They are "
        "areas within one tile: of a larger image, pixels count that have so many of their class around them "
        "in an area of about a tile's size.",
        examples=["300", "200,200,300,500"],
    )
    bits: BitDepth | None = Field(
        None,
        description="Bits that the camera uses of each pixel of a 16-bit file; without it, all 16 must be in "
        "use. `STEEL_BITS` sets another default.",
    )

    pad: bool | None = Field(
        None,
        description="Whether an image smaller than a tile of the model is padded by mirroring it at its "
        "right and lower border; the answer is cropped to the image. The model file says which is the "
        "default (`GET /model`): `true` where its training did so, otherwise `false`, which refuses such "
        "an image.",
    )

    def options(self, metadata: ModelMetadata, settings: Settings) -> tuple[Profile, PredictOptions]:
        """Return the operating point and the options of the predictions.

        Raises:
            InvalidParameterError: if the model that serves has no such profile, other classes, or computes no
                masks at a class threshold.
        """
        point = operating_point(metadata, self, profile_name(settings.profile))
        bits = self.bits or settings.bits
        pad = metadata.pad if self.pad is None else self.pad
        return point, PredictOptions(point, bits=int(bits) if bits else None, pad=pad)


class PredictQuery(OperatingPointQuery):
    """Query parameters of /predict."""

    mask_format: MaskFormat = Field(
        "rle",
        description="Format of the masks. `rle`: Kaggle's run-length code, pairs of start and length, "
        "pixels numbered from 1, top to bottom, then left to right. `coco_rle`: as pycocotools writes it; "
        "`coco_rle_uncompressed`: with a list of counts. `polygon`: a GeoJSON MultiPolygon along the edges "
        "of pixels, with holes. `png`: one grey PNG for all classes, in base64, bit `n` of a pixel for "
        "the `n`-th class, counted from 0; for models of at most 16 classes. `none` leaves masks out.",
    )
    instances: bool = Field(
        False,
        description="Also list every connected defect with class, score, bounding box, area and centroid.",
    )
    maps: bool = Field(
        False,
        description="Also give the probability of every pixel and class, to try thresholds without further "
        "requests. Of an image of several tiles, those on which the class reaches its class threshold.",
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
        """Return the operating point and the options of the predictions.

        Raises:
            InvalidParameterError: as ``OperatingPointQuery`` does, or if the model has more classes than the
                format can hold.
        """
        point, options = super().options(metadata, settings)
        if self.mask_format == "png" and len(metadata.classes) > PNG_CLASSES:
            raise InvalidParameterError(
                "mask_format",
                f"mask_format: expected another format than png, whose pixels hold {PNG_CLASSES} classes: "
                f"the model has {len(metadata.classes)}",
            )
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
        InvalidParameterError: if the model has no such profile, another number of classes, or computes no
            masks at a class threshold.
    """
    classes = len(metadata.classes)
    name = default if query.profile is None else query.profile
    profile = next((one for one in metadata.profiles if one.name == name), None)
    if profile is None:
        names = ", ".join(one.name for one in metadata.profiles)
        raise InvalidParameterError("profile", f"profile: expected one of {names}, got {name!r}")
    changes: dict[str, object] = {}
    if query.class_threshold is not None:
        thresholds = _parsed("class_threshold", query.class_threshold, parse_thresholds, classes)
        lowest = metadata.gate or (0.0,) * classes
        if any(value < least for value, least in zip(thresholds, lowest, strict=True)):
            least = ",".join(f"{value:g}" for value in lowest)
            raise InvalidParameterError(
                "class_threshold",
                f"class_threshold: expected at least {least}, below which the model computes no masks, got "
                f"{query.class_threshold!r}",
            )
        changes["class_threshold"] = thresholds
    if query.threshold is not None:
        changes["threshold"] = _parsed("threshold", query.threshold, parse_thresholds, classes)
    if query.min_area is not None:
        changes["min_area"] = _parsed("min_area", query.min_area, parse_areas, classes)
    return profile.model_copy(update=changes) if changes else profile


def _parsed(name: str, text: str, parse: Callable[[str, int], tuple[N, ...]], classes: int) -> tuple[N, ...]:
    """Parse a parameter with a value for each class of the model."""
    try:
        return parse(text, classes)
    except ValueError as error:
        raise InvalidParameterError(name, f"{name}: {error}") from error


def invalid_parameter(errors: Any, name: str | None = None) -> InvalidParameterError:
    """Describe the first of pydantic's errors.

    Args:
        errors: as pydantic and FastAPI list them.
        name: of the parameter; None takes it from the error.
    """
    first = errors[0]
    name = str(first["loc"][-1]) if name is None else name
    message = str(first["msg"])
    if first["type"] == "extra_forbidden":
        message = "there is no such parameter"
    return InvalidParameterError(name, f"{name}: {message}")
