"""New model files moved into a repository."""

from pathlib import Path

from model_export.evaluation.out_of_fold import FOLDS
from service.model.repository import GPU_MODEL, checksum_file


def install(part: Path, target: Path) -> None:
    """Move the new files into place and remove the files that they replace."""
    gpu = target.with_name(GPU_MODEL)
    for old in (gpu, checksum_file(gpu)):
        old.unlink(missing_ok=True)
    folds = target.parent / FOLDS
    if folds.exists():
        for old in folds.iterdir():
            old.unlink()
    for new in sorted(part.rglob("*.onnx*")):
        place = target.parent / new.relative_to(part)
        place.parent.mkdir(exist_ok=True)
        new.replace(place)
    if folds.exists() and not any(folds.iterdir()):
        folds.rmdir()
