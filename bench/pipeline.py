"""What every server does with a strip, apart from serving: decode, infer, threshold, encode."""

from dataclasses import asdict, dataclass
from pathlib import Path

from service.geometry import HEIGHT, WIDTH
from service.images.decode import decode
from service.masks.rle import encode
from service.model.postprocess import apply_operating_point
from service.model.session import OrtSession

PROFILE = "inspection"


@dataclass(frozen=True)
class ClassFound:
    """What a server answers for one class."""

    class_id: int
    present: bool
    probability: float
    area: int
    rle: str
    """Kaggle's run-length code; empty where the class is not present."""


class Pipeline:
    """The service's own functions, one after the other, in the calling thread.

    Args:
        session: may be shared by pipelines of several threads; onnxruntime's runs are thread-safe.

    Raises:
        ValueError: if the model has no profile ``inspection``.
    """

    def __init__(self, session: OrtSession) -> None:
        point = session.metadata.profile(PROFILE)
        if point is None:
            raise ValueError(f"the model has no profile {PROFILE!r}")
        self.point = point
        self._session = session

    def answer(self, data: bytes) -> list[ClassFound]:
        """Answer one image file."""
        probabilities = self._session.infer([decode(data, max_pixels=HEIGHT * WIDTH)])[0]
        return [
            ClassFound(
                class_id=found.class_id,
                present=found.present,
                probability=found.probability,
                area=found.area,
                rle="" if found.mask is None else encode(found.mask),
            )
            for found in apply_operating_point(probabilities.classes, probabilities.masks, self.point)
        ]

    def answer_json(self, data: bytes) -> dict[str, object]:
        """Answer one image file as the object that a peer sends as JSON."""
        return {"classes": [asdict(found) for found in self.answer(data)]}


def open_pipeline(model: Path, threads: int) -> Pipeline:
    """Open a model file on the CPU with as many threads for one inference."""
    return Pipeline(OrtSession(model, device="cpu", threads=threads))
