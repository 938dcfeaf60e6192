"""Typed answers of ``POST /predict``, with masks as arrays.

The models mirror the service's OpenAPI schemas field by field, in the same order. Unknown fields are kept, so
that this client reads the answers of a newer service.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from steel_client import masks, rle
from steel_client.errors import MaskError, NotInspectedError, SteelError, error_from_body
from steel_client.masks import ClassBits
from steel_client.rle import Mask


class _Result(BaseModel):
    model_config = ConfigDict(extra="allow")


class ModelSummary(_Result):
    """The model that answered."""

    name: str
    version: str
    sha256: str
    """Of the model file."""
    provider: str
    """Execution provider of onnxruntime."""
    precision: str
    fallback_reason: str | None = None
    """Reason for the CPU, with ``STEEL_DEVICE=auto`` and no usable GPU."""


class ProfileUsed(_Result):
    """The operating point, overrides included; one value per class, in order."""

    name: str
    class_threshold: tuple[float, ...]
    threshold: tuple[float, ...]
    min_area: tuple[int, ...]
    """Pixels."""


class CocoRle(_Result):
    """A mask in COCO's run-length code."""

    size: tuple[int, int]
    """Height and width."""
    counts: str | list[int]
    """Compressed, or lengths of runs."""


class MultiPolygon(_Result):
    """A mask as GeoJSON; x to the right, y down, in pixels from the upper left corner."""

    type: str
    coordinates: list[list[list[tuple[int, int]]]]
    """Polygons: the outer ring, then the holes."""


class InstanceResult(_Result):
    """One connected defect."""

    class_id: int
    score: float
    """Mean probability of its pixels."""
    bbox: tuple[int, int, int, int]
    """Left, top, width, height, in pixels."""
    area: int
    """Pixels."""
    centroid: tuple[float, float]
    bbox_mm: tuple[float, float, float, float] | None = None
    area_mm2: float | None = None
    centroid_mm: tuple[float, float] | None = None


class ClassResult(_Result):
    """One class of defect on one strip."""

    class_id: int
    name: str
    present: bool
    probability: float
    """Of any defect of this class on the strip."""
    area: int
    """Pixels of the mask."""
    area_mm2: float | None = None
    rle: str | None = None
    """Kaggle's run-length code; empty if not present."""
    coco_rle: CocoRle | None = None
    polygon: MultiPolygon | None = None


class Problem(_Result):
    """The reason for a refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    parameter: str | None = None
    error: str | None = None
    request_id: str | None = None


class HealthResult(_Result):
    """Measures that tell steel from a blind camera."""

    fault: str | None = None
    """Reason for ``not_inspected``."""
    black: float
    """Share of columns without steel; the others are measured."""
    brightness: float
    contrast: float
    saturated: float
    blank: float
    sharpness: float
    noise: float
    novelty: float
    """Distance from the training strips; about 1 on a typical strip."""


class ImageResult(_Result):
    """One file of the request; one that was refused or does not show steel has no classes."""

    filename: str | None = None
    status: int
    verdict: str
    """``ok``, ``defect``, ``suspect`` or ``not_inspected``."""
    reason: str
    """Of the verdict, in words."""
    width: int | None = None
    """Of the image, in pixels; masks, boxes and centroids are in its coordinates."""
    height: int | None = None
    tiles: int | None = None
    """Number of overlapping parts in which the image was answered, if there are several."""
    sha256: str | None = None
    """Of the image file."""
    defect: bool | None = None
    defect_probability: float | None = None
    health: HealthResult | None = None
    classes: list[ClassResult] | None = None
    png: str | None = None
    """Masks of all classes in base64, with ``mask_format=png``."""
    maps: str | None = None
    """Probability maps in base64, with ``maps=true``."""
    strip: str | None = None
    """Grey pixels that the model gets, a PNG in base64, with ``strip=true``."""
    instances: list[InstanceResult] | None = None
    problem: Problem | None = None


class TimingMs(_Result):
    """Milliseconds per stage, of the slowest strip."""

    decode: float
    queue: float
    inference: float
    postprocess: float
    total: float


class PredictResponse(_Result):
    """The whole answer."""

    model: ModelSummary
    profile: ProfileUsed
    mm_per_px: tuple[float, float] | None = None
    images: list[ImageResult]
    timing_ms: TimingMs


@dataclass(frozen=True)
class SteelClass:
    """One class of defect on one strip, with its mask."""

    result: ClassResult
    """As received: ``class_id``, ``name``, ``present``, ``probability``, ``area``, ``rle``."""
    height: int
    """Of the image, in pixels."""
    width: int
    position: int
    """Of the class in the model's list, from 0."""
    bits: ClassBits | None = None
    """Masks of all classes, with ``mask_format=png``."""

    @property
    def mask(self) -> Mask:
        """Bool ``[height, width]``, row by row, in whichever format it came; all False if not present.

        Raises:
            MaskError: if the code is broken, or the answer carries no mask (``mask_format=none``).
        """
        found, size = self.result, {"height": self.height, "width": self.width}
        if found.rle is not None:
            return rle.decode(found.rle, **size)
        if found.coco_rle is not None:
            return masks.decode_coco(found.coco_rle.counts, **size)
        if found.polygon is not None:
            return masks.decode_polygons(found.polygon.coordinates, **size)
        if self.bits is not None:
            return self.bits.mask(self.position)
        if found.present:
            raise MaskError("expected a mask, got an answer without masks (mask_format=none)")
        return np.zeros((self.height, self.width), dtype=np.bool_)


@dataclass(frozen=True)
class Image:
    """The answer for one image."""

    result: ImageResult
    """As received."""
    response: PredictResponse
    """The whole answer: model, operating point, timing."""

    @property
    def verdict(self) -> str:
        """``ok``, ``defect``, ``suspect`` (a person has to look) or ``not_inspected`` (nothing is known)."""
        return self.result.verdict

    @property
    def reason(self) -> str:
        """Reason for the verdict, in words."""
        return self.result.reason

    @property
    def inspected(self) -> bool:
        """Whether the model has seen the strip."""
        return self.verdict != "not_inspected"

    @property
    def defect(self) -> bool:
        """Whether any class is present.

        Raises:
            NotInspectedError: if nothing is known of the strip, so that it is never taken for a clean one.
        """
        if not self.inspected:
            raise NotInspectedError(self.reason)
        return bool(self.result.defect)

    @property
    def probability(self) -> float:
        """The highest probability of the classes that are present; 0 if none is."""
        return self.result.defect_probability or 0.0

    @cached_property
    def classes(self) -> list[SteelClass]:
        """All classes of the model, ordered by id; masks have the image's own size."""
        height, width = self.result.height or 0, self.result.width or 0
        png = self.result.png
        bits = None if png is None else ClassBits(png, height=height, width=width)
        return [
            SteelClass(found, height, width, position, bits)
            for position, found in enumerate(self.result.classes or [])
        ]

    @property
    def present(self) -> list[SteelClass]:
        """The classes that are present."""
        return [found for found in self.classes if found.result.present]

    @property
    def instances(self) -> list[InstanceResult]:
        """Connected defects, with ``instances=true`` in the query."""
        return self.result.instances or []


def read_image(body: bytes) -> Image:
    """Parse the answer to a request of one image.

    Raises:
        SteelError: if the body is not such an answer.
    """
    try:
        response = PredictResponse.model_validate_json(body)
    except ValidationError as error:
        raise error_from_body(body, error) from error
    if len(response.images) != 1:
        raise SteelError(f"expected one image in the answer, got {len(response.images)}")
    return Image(response.images[0], response)
