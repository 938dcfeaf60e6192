"""Examples of answers for the OpenAPI page, made by the code that makes the answers."""

import hashlib
from typing import Any

import numpy as np

from service.api.openapi.problems import EXAMPLE_ID
from service.api.responses import image_result
from service.api.schemas import ImageResult, ModelSummary, PredictResponse, ProfileUsed, TimingMs
from service.errors import InvalidImageError, ServiceError
from service.images.decode import Size
from service.images.health import HealthMeasures
from service.inference.prediction import (
    Decoded,
    Elapsed,
    ImageRules,
    Inferred,
    Job,
    Prediction,
    PredictOptions,
    Tile,
    finish_frame,
    finish_job,
    keep_tile,
    refuse_job,
)
from service.masks.formats import MaskFormat
from service.model.health import FrameHealth, Health
from service.model.metadata import DefectClass, OperatingPoint
from service.model.session import Probabilities
from service.model.verdict import Review

_CLASSES = tuple(
    DefectClass(id=number, name=name)
    for number, name in enumerate(("pitting", "vertical line", "scratch", "patch"), 1)
)
_RULES = ImageRules(16_000_000, None, Size(1600, 256), len(_CLASSES))
_POINT = OperatingPoint(
    class_threshold=(0.018, 0.018, 0.083, 0.039),
    threshold=(0.5, 0.5, 0.5, 0.5),
    min_area=(100, 100, 100, 100),
)
_REVIEW = Review(
    tuple(kind.id for kind in _CLASSES),
    tuple(kind.name for kind in _CLASSES),
    ((0.01, 0.5), (0.01, 0.5), (0.02, 0.5), (0.01, 0.5)),
)
_HEALTHY = Health(HealthMeasures(0.0, 101.4, 28.2, 0.0003, 0.0063, 9.55, 0.053), 0.83, None, None)
_DARK = Health(
    HealthMeasures(0.0, 17.2, 2.9, 0.0, 0.31, 1.62, 0.08),
    2.9,
    "dark",
    "too dark: brightness 17.2, expected at least 20.1",
)
_FORMATS: tuple[MaskFormat, ...] = ("coco_rle", "coco_rle_uncompressed", "polygon", "png")


def predict_examples() -> dict[str, dict[str, Any]]:
    """Return answers of /predict by name, for each case that a caller meets."""
    small = InvalidImageError("expected an image of at least 1600x256 pixels, got a PNG of 800x600")
    options = PredictOptions(_POINT, "rle")
    defect = [_image("cam3-0042.jpg", _strip(True, options))]
    listed = PredictOptions(_POINT, "none", instances=True)
    return {
        "defect": _example("a defect", defect),
        "clean": _example("a clean strip", [_image("cam3-0041.jpg", _strip(False, options))]),
        "not inspected": _example(
            "a strip that is too dark", [_image("cam3-0044.jpg", refuse_job(_decoded(_DARK)))]
        ),
        "one of two refused": _example(
            "two files, one of them refused", [*defect, _image("cam3-0043.jpg", small)]
        ),
        **{
            name: _example(
                f"mask_format={name}", [_image("cam3-0042.jpg", _strip(True, PredictOptions(_POINT, name)))]
            )
            for name in _FORMATS
        },
        "frame": _example(
            "an image of 4096x1024 pixels, answered in tiles", [_image("cam3-0042.png", _frame(options))]
        ),
        "instances": _example(
            "mask_format=none, instances=true, mm_per_px=0.5",
            [_image("cam3-0042.jpg", _strip(True, listed), (0.5, 0.5))],
        ),
    }


def _example(summary: str, images: list[ImageResult]) -> dict[str, Any]:
    answer = PredictResponse(
        model=ModelSummary(
            name="steel-unet-resnet18-fast",
            version="1",
            sha256=_sha256("model"),
            provider="CPUExecutionProvider",
            precision="int8",
        ),
        profile=ProfileUsed(name="inspection", **_POINT.model_dump()),
        images=images,
        timing_ms=TimingMs(decode=1.9, queue=0.1, inference=15.1, postprocess=0.5, total=18.0),
    )
    return {"summary": summary, "value": answer.model_dump(mode="json")}


def _image(
    filename: str, result: Prediction | ServiceError, mm_per_px: tuple[float, float] | None = None
) -> ImageResult:
    return image_result(filename, result, _CLASSES, EXAMPLE_ID, mm_per_px)


_NOTHING = Elapsed(0.0, 0.0)


def _strip(defect: bool, options: PredictOptions) -> Prediction:
    """Predict a strip with a scratch of 200 x 6 pixels, with a hole, or a clean one."""
    return finish_job(Job(b"", options), _decoded(_HEALTHY), _inferred(defect), _NOTHING, _REVIEW)


def _frame(options: PredictOptions) -> Prediction:
    """Predict a frame with the scratch on its first tile."""
    decoded = _decoded(FrameHealth(_HEALTHY, {}, frozenset()), Size(4096, 1024))
    tiles = {
        number: keep_tile(Tile(tile, _POINT), _inferred(defect=number == 0))
        for number, tile in decoded.tiles.items()
    }
    return finish_frame(Job(b"", options), decoded, tiles, 0.0, _REVIEW)


def _inferred(defect: bool) -> Inferred:
    classes = np.array([0.004, 0.011, 0.973 if defect else 0.021, 0.002], dtype=np.float32)
    masks = np.zeros((len(_CLASSES), *_RULES.tile), dtype=np.uint8)
    if defect:
        masks[2, 400:600, 120:126] = 240
        masks[2, 500:504, 122:124] = 20
    return Inferred(Probabilities(classes, masks), 0.0, _NOTHING)


def _decoded(health: Health | FrameHealth, size: Size = _RULES.tile) -> Decoded:
    strip = np.zeros((size.height, size.width), dtype=np.uint8)
    return Decoded(strip, strip, _RULES.plan(size), _sha256("strip"), health, _NOTHING)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
