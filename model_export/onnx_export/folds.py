"""The trainings of a cross-validation, which must belong together."""

from dataclasses import replace
from pathlib import Path

from model_export.errors import DataError
from model_export.training.checkpoint import Checkpoint, config_to_json, load_checkpoint
from model_export.training.config import run_folder

_OWN_OPTIONS = ("out", "resume", "fold", "data", "device", "workers", "threads", "mlflow")
"""Options in which the trainings of one cross-validation may differ."""
_PATHS_OF_FOLDS = ("start_from", "teacher")
"""Options that name checkpoints of the fold's own."""


def load_at(path: Path, data: Path | None) -> Checkpoint:
    """Load a checkpoint whose data set may have moved to ``data``."""
    state = load_checkpoint(path)
    return state if data is None else replace(state, config=replace(state.config, data=data))


def load_folds(folder: Path, data: Path | None) -> list[Checkpoint]:
    """Load the folds of a cross-validation, then the training on all strips.

    Raises:
        DataError: if one is missing, a strip is in the test of no fold or of several, or the trainings had
            different options.
    """
    whole = load_at(run_folder(folder, 0) / "best.pt", data)
    count = whole.config.folds
    states = [load_at(run_folder(folder, fold) / "best.pt", data) for fold in range(1, count + 1)]
    tests = sorted(name for state in states for name in state.split.test)
    if tests != sorted(whole.split.train):
        raise DataError(
            f"{folder} is not a cross-validation: expected every strip in the test of exactly one fold"
        )
    problems = [
        f"fold {number}: {text}" for number, state in enumerate(states, 1) for text in _unlike(state, whole)
    ]
    if problems:
        raise DataError(
            f"{folder}: expected the same options in every training, since the scores of the folds stand for "
            f"the training on all strips (all/); got {'; '.join(problems)}"
        )
    return [*states, whole]


def _unlike(state: Checkpoint, whole: Checkpoint) -> list[str]:
    """Return in which options a fold was trained unlike the training on all strips."""

    def options(one: Checkpoint) -> dict[str, object]:
        plain = config_to_json(one.config) | {"epochs trained": one.epoch}
        return plain | {name: bool(plain[name]) for name in _PATHS_OF_FOLDS}

    ours, theirs = options(state), options(whole)
    return [
        f"{name} {ours.get(name)!r} instead of {theirs.get(name)!r}"
        for name in sorted(ours.keys() | theirs.keys())
        if name not in _OWN_OPTIONS and ours.get(name) != theirs.get(name)
    ]
