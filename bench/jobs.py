"""Jobs: image files with their expected answers, stored as files for other processes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ClassAnswer = tuple[bool, str]
"""Whether the class is present, and Kaggle's run-length code of its mask (empty where it is not)."""

_ANSWERS = "answers.json"


@dataclass(frozen=True)
class Job:
    """One image file with its expected answer."""

    jpeg: bytes
    answer: tuple[ClassAnswer, ...]
    """Per class, in the order of ids."""
    passed: int
    """Classes whose image-level probability reaches the profile's threshold; with 0 no mask is computed."""

    @property
    def defective(self) -> bool:
        """Whether the expected answer holds a defect."""
        return any(present for present, _ in self.answer)


def write_jobs(jobs: Sequence[Job], folder: Path) -> None:
    """Write jobs for other processes: ``0.jpg``, ``1.jpg``, ... and ``answers.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, job in enumerate(jobs):
        (folder / f"{number}.jpg").write_bytes(job.jpeg)
    answers = [{**asdict(job), "jpeg": f"{number}.jpg"} for number, job in enumerate(jobs)]
    (folder / _ANSWERS).write_text(json.dumps(answers))


def read_jobs(folder: Path) -> list[Job]:
    """Read the jobs of ``write_jobs``."""
    return [
        Job(
            jpeg=(folder / entry["jpeg"]).read_bytes(),
            answer=tuple((bool(present), str(code)) for present, code in entry["answer"]),
            passed=int(entry["passed"]),
        )
        for entry in json.loads((folder / _ANSWERS).read_text())
    ]
