"""From predictions, and from what the model says of itself, to the JSON that goes out."""

from collections.abc import Sequence

from service.api.error_handlers import problem_of
from service.api.schemas import (
    ClassResult,
    ImageResult,
    InstanceResult,
    ModelInfo,
    ModelSummary,
    SplitInfo,
    TimingMs,
)
from service.errors import ServiceError
from service.geometry import HEIGHT, WIDTH
from service.inference.prediction import Prediction
from service.masks.regions import Instance
from service.model.metadata import DefectClass
from service.model.session import Session


def model_summary(session: Session) -> ModelSummary:
    """Say which model answers, and where it runs."""
    return ModelSummary(
        name=session.metadata.name,
        version=session.metadata.version,
        sha256=session.sha256,
        provider=session.provider,
        precision=session.metadata.precision,
        fallback_reason=session.fallback_reason,
    )


def model_info(session: Session) -> ModelInfo:
    """Say everything that the model file says of itself; of the split, numbers instead of names."""
    metadata = session.metadata
    return ModelInfo(
        **model_summary(session).model_dump(),
        width=WIDTH,
        height=HEIGHT,
        classes=metadata.classes,
        profiles=metadata.profiles,
        split=SplitInfo(
            strategy=metadata.split.strategy,
            seed=metadata.split.seed,
            train=len(metadata.split.train),
            validation=len(metadata.split.validation),
            test=len(metadata.split.test),
        ),
        provenance=metadata.provenance,
        calibration=metadata.calibration,
        parity=metadata.parity,
    )


def image_result(
    filename: str | None,
    result: Prediction | ServiceError,
    kinds: Sequence[DefectClass],
    request_id: str,
    mm_per_px: tuple[float, float] | None,
) -> ImageResult:
    """Describe one file's answer.

    Args:
        filename: as it came.
        result: what became of the file.
        kinds: the classes of the model that answered.
        request_id: for a problem.
        mm_per_px: width and height of a pixel, to add millimetres.
    """
    if isinstance(result, ServiceError):
        return ImageResult(filename=filename, status=result.status, problem=problem_of(result, request_id))
    return ImageResult(
        filename=filename,
        status=200,
        width=WIDTH,
        height=HEIGHT,
        sha256=result.sha256,
        defect=any(found.present for found in result.classes),
        defect_probability=round(max(found.probability for found in result.classes), 4),
        classes=[
            ClassResult(
                class_id=found.class_id,
                name=kind.name,
                present=found.present,
                probability=round(found.probability, 4),
                area=found.area,
                area_mm2=None if mm_per_px is None else _round(found.area * mm_per_px[0] * mm_per_px[1]),
                **code,
            )
            for kind, found, code in zip(kinds, result.classes, result.codes, strict=True)
        ],
        png=result.png,
        maps=result.maps,
        instances=None
        if result.instances is None
        else [_instance_result(one, mm_per_px) for one in result.instances],
    )


def _instance_result(found: Instance, mm_per_px: tuple[float, float] | None) -> InstanceResult:
    result = InstanceResult(
        class_id=found.class_id,
        score=round(found.score, 4),
        bbox=found.bbox,
        area=found.area,
        centroid=(_round(found.centroid[0]), _round(found.centroid[1])),
    )
    if mm_per_px is not None:
        x, y = mm_per_px
        left, top, width, height = found.bbox
        result.bbox_mm = (_round(left * x), _round(top * y), _round(width * x), _round(height * y))
        result.area_mm2 = _round(found.area * x * y)
        result.centroid_mm = (_round(found.centroid[0] * x), _round(found.centroid[1] * y))
    return result


def _round(value: float) -> float:
    return round(value, 3)


def timing_ms(predictions: Sequence[Prediction], total: float) -> TimingMs:
    """Give milliseconds of a request: each stage that of its slowest strip, ``total`` from seconds."""

    def slowest(stage: str) -> float:
        return round(1000 * max((getattr(p.timing, stage).seconds for p in predictions), default=0.0), 2)

    return TimingMs(
        decode=slowest("decode"),
        queue=slowest("queue"),
        inference=slowest("inference"),
        postprocess=slowest("postprocess"),
        total=round(1000 * total, 2),
    )


def server_timing(timing: TimingMs) -> str:
    """Write timings as the Server-Timing header wants them (W3C Server Timing)."""
    return ", ".join(f"{stage};dur={milliseconds:g}" for stage, milliseconds in timing)
