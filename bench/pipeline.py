"""The pipeline of every server, without HTTP: decode, infer, apply thresholds, encode."""

from dataclasses import asdict, dataclass
from pathlib import Path

from service.images.decode import decode
from service.masks.rle import encode
from service.model.postprocess import apply_operating_point
from service.model.session import OrtSession

PROFILE = "inspection"


@dataclass(frozen=True)
class ClassPrediction:
    """Result of one class."""

    class_id: int
    present: bool
    probability: float
    area: int
    rle: str
    """Kaggle's run-length code; empty if the class is not present."""


class Pipeline:
    """The service's own functions, called one after the other in the calling thread.

    Args:
        session: pipelines of several threads may share it; onnxruntime's runs are thread-safe.

    Raises:
        ValueError: if the model has no profile ``inspection``.
    """

    def __init__(self, session: OrtSession) -> None:
        point = session.metadata.profile(PROFILE)
        if point is None:
            raise ValueError(f"expected a model with the profile {PROFILE!r}")
        self.point = point
        self._session = session
        self._max_pixels = session.metadata.height * session.metadata.width

    def predict(self, data: bytes) -> list[ClassPrediction]:
        """Predict one image file, a strip of the size of the model's tile."""
        probabilities = self._session.infer([decode(data, max_pixels=self._max_pixels)])[0]
        return [
            ClassPrediction(
                class_id=found.class_id,
                present=found.present,
                probability=found.probability,
                area=found.area,
                rle="" if found.mask is None else encode(found.mask),
            )
            for found in apply_operating_point(
                probabilities.classes, probabilities.masks, self.point, self._session.metadata.class_ids
            )
        ]

    def predict_json(self, data: bytes) -> dict[str, object]:
        """Predict one image file; return the JSON object that a peer sends."""
        return {"classes": [asdict(found) for found in self.predict(data)]}


def open_pipeline(model: Path, threads: int) -> Pipeline:
    """Open a model file on the CPU with this number of threads per inference."""
    return Pipeline(OrtSession(model, device="cpu", threads=threads))
