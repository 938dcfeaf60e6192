"""Answers, typed, with masks as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.api.schemas import ClassResult, ImageResult, InstanceResult, PredictResponse
from service.masks import rle
from steel_client.errors import SteelError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SteelClass:
    """One class of defect on one strip."""

    result: ClassResult
    """As it came: ``class_id``, ``name``, ``present``, ``probability``, ``area``, ``rle``."""
    height: int
    width: int

    @property
    def mask(self) -> Mask:
        """Bool ``[height, width]``, row by row as images are; empty where the class is not present."""
        columns = rle.decode(self.result.rle or "", height=self.height, width=self.width)
        return np.ascontiguousarray(columns.T)


@dataclass(frozen=True)
class Image:
    """The answer for one image."""

    result: ImageResult
    """As it came."""
    response: PredictResponse
    """The whole answer that it came in: model, operating point, timing."""

    @property
    def defect(self) -> bool:
        """Whether any class is present."""
        return bool(self.result.defect)

    @property
    def probability(self) -> float:
        """The highest of the classes' probabilities."""
        return self.result.defect_probability or 0.0

    @property
    def classes(self) -> list[SteelClass]:
        """All four, in the order of their ids."""
        height, width = self.result.height or 0, self.result.width or 0
        return [SteelClass(found, height, width) for found in self.result.classes or []]

    @property
    def present(self) -> list[SteelClass]:
        """The classes that the strip holds."""
        return [found for found in self.classes if found.result.present]

    @property
    def instances(self) -> list[InstanceResult]:
        """Connected defects, if they were asked for."""
        return self.result.instances or []


def read_image(body: bytes) -> Image:
    """Read the answer to a request with one image.

    Raises:
        SteelError: if it is no such answer.
    """
    try:
        response = PredictResponse.model_validate_json(body)
    except ValueError as error:
        raise SteelError(f"the answer is not one of this service: {error}") from error
    if len(response.images) != 1:
        raise SteelError(f"one image was sent, {len(response.images)} came back")
    return Image(response.images[0], response)
