"""``cross-validate``: one training per fold, so that every strip is in the test of one of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from model_export.training.checkpoint import load_checkpoint
from model_export.training.config import TrainConfig, check_resumed, run_folder
from model_export.training.process_group import join_process_group
from model_export.training.run_file import write_run_file
from model_export.training.train import train


@dataclass(frozen=True)
class CrossValidateConfig(TrainConfig):
    """Train on all folds but one, for each fold, and on all strips; started again, it resumes.

    Writes --out/fold-1, fold-2, … and all/, each what train --fold writes.
    """

    fold: Annotated[int | None, tyro.conf.Suppress] = None
    resume: Annotated[bool, tyro.conf.Suppress] = False
    only: tuple[int, ...] = ()
    """Only these folds, 0 being the training on all strips; default: 1 to --folds, then 0."""


def cross_validate(config: CrossValidateConfig) -> list[Path]:
    """Train as configured and return the paths of the checkpoints."""
    options = vars(config).copy()
    folds = options.pop("only") or (*range(1, config.folds + 1), 0)
    shared = TrainConfig(**options)
    checkpoints = []
    with join_process_group(config.device) as group:  # once for all trainings
        own = {fold: _of_fold(shared, fold) for fold in folds}
        for training in own.values():
            last = training.out / "last.pt"
            if last.exists():
                # All options, not only those that are given: the folds to come would be trained with them.
                check_resumed(training, load_checkpoint(last).config, defaults_too=True)
        for fold, training in own.items():
            print(f"fold {fold} of {config.folds}" if fold else "all strips", flush=True)
            checkpoints.append(train(replace(training, resume=(training.out / "last.pt").exists())))
            if group.is_main and len(checkpoints) == 1:  # options that cannot be have ended the command
                write_run_file(shared, "cross-validate")
    return checkpoints


def _of_fold(shared: TrainConfig, fold: int) -> TrainConfig:
    start = None if shared.start_from is None else _checkpoint_of_fold(shared.start_from, fold)
    teachers = tuple(_checkpoint_of_fold(path, fold) for path in shared.teacher)
    return replace(shared, start_from=start, teacher=teachers, fold=fold, out=run_folder(shared.out, fold))


def _checkpoint_of_fold(path: Path, fold: int) -> Path:
    """Return the checkpoint of this fold if ``path`` is the folder of a cross-validation, else ``path``."""
    return run_folder(path, fold) / "best.pt" if path.is_dir() else path
