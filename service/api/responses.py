"""Build the JSON of answers from predictions and the model file's metadata."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.api.schemas import (
    ClassResult,
    HealthResult,
    ImageResult,
    InstanceResult,
    ModelInfo,
    ModelSummary,
    PredictResponse,
    ProfileUsed,
    SplitInfo,
    TimingMs,
)
from service.errors import ServiceError
from service.inference.prediction import Prediction
from service.masks.formats import base64_png
from service.masks.regions import Instance
from service.model.health import Health
from service.model.metadata import DefectClass
from service.model.session import Session
from service.problem import problem_of

if TYPE_CHECKING:  # workers of steel_bulk build answers without a web framework
    from service.api.dataplane import FileResults
    from service.api.uploads import Upload


def predict_response(
    uploads: "Sequence[Upload]",
    done: "FileResults",
    timing: TimingMs,
    request_id: str,
    pixel_size: tuple[float, float] | None,
) -> PredictResponse:
    """Build the answer of /predict.

    Args:
        uploads: the files.
        done: their results.
        timing: of the request.
        request_id: for problems.
        pixel_size: width and height of a pixel in millimetres; None leaves millimetres out.
    """
    classes = done.session.metadata.classes
    return PredictResponse(
        model=model_summary(done.session),
        profile=ProfileUsed.model_validate(done.point, from_attributes=True),
        mm_per_px=pixel_size,
        images=[
            image_result(upload.filename, result, classes, request_id, pixel_size)
            for upload, result in zip(uploads, done.results, strict=True)
        ],
        timing_ms=timing,
    )


def model_summary(session: Session) -> ModelSummary:
    """Summarise the model and its device."""
    return ModelSummary(
        name=session.metadata.name,
        version=session.metadata.version,
        sha256=session.sha256,
        provider=session.provider,
        precision=session.metadata.precision,
        fallback_reason=session.fallback_reason,
    )


def model_info(session: Session) -> ModelInfo:
    """Return the model file's metadata, with counts of strips instead of their names."""
    metadata = session.metadata
    return ModelInfo(
        **model_summary(session).model_dump(),
        width=metadata.width,
        height=metadata.height,
        pad=metadata.pad,
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
        health=metadata.health,
        gate=metadata.gate,
        review_bands=metadata.review_bands,
    )


def image_result(
    filename: str | None,
    result: Prediction | ServiceError,
    classes: Sequence[DefectClass],
    request_id: str,
    pixel_size: tuple[float, float] | None,
) -> ImageResult:
    """Build one file's part of the answer.

    Args:
        filename: as received.
        result: of the file.
        classes: of the model that answered.
        request_id: for a problem.
        pixel_size: width and height of a pixel in millimetres; None leaves millimetres out.
    """
    if isinstance(result, ServiceError):
        problem = problem_of(result, request_id)
        return ImageResult(
            filename=filename,
            status=result.status,
            verdict="not_inspected",
            reason=f"{problem.title}: {problem.detail}",
            problem=problem,
        )
    present = [found.probability for found in result.classes if found.present]
    return ImageResult(
        filename=filename,
        status=200,
        verdict=result.verdict.name,
        reason=result.verdict.reason,
        width=result.strip.shape[1],
        height=result.strip.shape[0],
        tiles=result.tiles if result.tiles > 1 else None,
        sha256=result.sha256,
        defect=bool(present) if result.inspected else None,
        defect_probability=round(max(present), 4) if present else None,
        health=None if result.health is None else _health_result(result.health),
        classes=None
        if not result.inspected
        else [
            ClassResult(
                class_id=found.class_id,
                name=kind.name,
                present=found.present,
                probability=round(found.probability, 4),
                area=found.area,
                area_mm2=None if pixel_size is None else _round(found.area * pixel_size[0] * pixel_size[1]),
                **code,
            )
            for kind, found, code in zip(classes, result.classes, result.codes, strict=True)
        ],
        png=result.png,
        maps=result.maps,
        instances=None
        if result.instances is None
        else [_instance_result(one, pixel_size) for one in result.instances],
    )


def _health_result(health: Health) -> HealthResult:
    return HealthResult(
        fault=health.fault,
        novelty=round(health.novelty, 4),
        **{name: round(value, 4) for name, value in health.measures._asdict().items()},
    )


def _instance_result(found: Instance, pixel_size: tuple[float, float] | None) -> InstanceResult:
    result = InstanceResult(
        class_id=found.class_id,
        score=round(found.score, 4),
        bbox=found.bbox,
        area=found.area,
        centroid=(_round(found.centroid[0]), _round(found.centroid[1])),
    )
    if pixel_size is not None:
        x, y = pixel_size
        left, top, width, height = found.bbox
        result.bbox_mm = (_round(left * x), _round(top * y), _round(width * x), _round(height * y))
        result.area_mm2 = _round(found.area * x * y)
        result.centroid_mm = (_round(found.centroid[0] * x), _round(found.centroid[1] * y))
    return result


def _round(value: float) -> float:
    return round(value, 3)


def add_strips(answer: PredictResponse, results: Sequence[Prediction | ServiceError]) -> None:
    """Add the pixels of each predicted strip to its part of the answer; takes milliseconds."""
    for image, result in zip(answer.images, results, strict=True):
        if isinstance(result, Prediction):
            image.strip = base64_png(result.strip, compress_level=1)


def timing_ms(predictions: Sequence[Prediction], total: float) -> TimingMs:
    """Return the timing of a request: for each stage, that of its slowest strip.

    Args:
        predictions: of its strips.
        total: seconds.
    """

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
    """Write timings as the Server-Timing header (W3C Server Timing)."""
    return ", ".join(f"{stage};dur={milliseconds:g}" for stage, milliseconds in timing)
