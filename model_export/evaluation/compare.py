"""``compare``: trainings side by side on the same held-out strips."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import tyro

from model_export.errors import DataError, OptionError
from model_export.evaluation.curves import ThresholdCurves, measure_curves
from model_export.evaluation.torch_session import TorchSession
from model_export.metrics import roc_auc
from model_export.network.steel_network import ServedNetwork
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.sources import list_strips, select_strips

_FIXED = 77
"""Byte of the threshold 0.3, which was never tuned."""

Dice = npt.NDArray[np.float64]
"""float64 ``[strips, classes]``: Dice where the strip holds the class, nan elsewhere."""


@dataclass(frozen=True)
class CompareConfig:
    """Compare trainings on the strips that they held out, each with the first.

    A training is a folder of train or cross-validate; all checkpoints in it are scored together.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders to compare."""
    data: Path | None = None
    """Folder of the data set, if it has moved since the training."""


@dataclass(frozen=True)
class RunScore:
    """Scores of a training on the strips that it held out."""

    keys: tuple[str, ...]
    """Seed and name of each strip."""
    fixed: Dice
    """Dice at threshold 0.3."""
    best: Dice
    """Dice at the threshold that is best on these strips, class by class: biased as a score, but a comparison
    that does not depend on a choice of thresholds."""
    gate: float
    """Area under the ROC curve: the probability that a defective strip has a higher class probability than a
    clean one."""


def compare(config: CompareConfig) -> None:
    """Print a row per training.

    Raises:
        OptionError: if no folder is given.
        DataError: if one has no checkpoint, or the trainings held out different strips.
    """
    if not config.runs:
        raise OptionError("expected folders to compare, got none")
    first: RunScore | None = None
    print(
        f"{'run':<24}{'strips':>7}{'Dice+ at 0.3':>14}{'best Dice+':>12}   {'per class':<24}"
        f"{'change (s.e.)':>18}{'gate AUC':>10}"
    )
    for folder in config.runs:
        score = score_run(folder, config.data)
        first = first or score
        change, error = paired_change(first, score)
        classes = " ".join(f"{value:.2f}" for value in np.nanmean(score.best, axis=0))
        print(
            f"{folder.name:<24}{len(score.keys):>7}{_mean(score.fixed):>14.3f}{_mean(score.best):>12.3f}   "
            f"{classes:<24}{'' if score is first else f'{change:+.3f} ({error:.3f})':>18}{score.gate:>10.3f}",
            flush=True,
        )
    print(
        "Dice+: mean over the strips that hold the class, then over classes; no gate, no minimum area.\n"
        "best: at the threshold that is best on these strips. change: of best, strip by strip, with its\n"
        "standard error."
    )


def score_run(folder: Path, data: Path | None) -> RunScore:
    """Score all checkpoints below a folder together, each on the strips that it held out.

    Raises:
        DataError: if there is no checkpoint.
    """
    paths = sorted(path for path in folder.glob("**/best.pt"))
    if not paths:
        raise DataError(f"{folder} holds no best.pt")
    keys: list[str] = []
    parts: list[ThresholdCurves] = []
    for path in paths:
        state = load_checkpoint(path)
        source = state.config if data is None else replace(state.config, data=data)
        held_out = select_strips(list_strips(source), state.split.validation or state.split.test)
        if not held_out:
            continue
        network = ServedNetwork(restore_network(state))
        parts.append(
            measure_curves(TorchSession(network), held_out, state.tile, f"{folder.name}/{path.parent.name}")
        )
        keys += [f"{state.config.seed} {strip.name}" for strip in held_out]
    curves = ThresholdCurves.join(parts)
    dice = curves.dice()
    best = np.nanmean(dice, axis=0).argmax(axis=1)
    return RunScore(
        keys=tuple(keys),
        fixed=dice[:, :, _FIXED],
        best=np.stack([dice[:, index, best[index]] for index in range(dice.shape[1])], axis=1),
        gate=roc_auc(curves.probability.max(axis=1), curves.true.any(axis=1)),
    )


def paired_change(first: RunScore, second: RunScore) -> tuple[float, float]:
    """Return the difference of best Dice+, second minus first, and its standard error.

    Differences are taken strip by strip, so that the difficulty of a strip cancels out.

    Raises:
        DataError: if they held out different strips.
    """
    if sorted(first.keys) != sorted(second.keys):
        raise DataError(
            "expected trainings with the same held-out strips (same folds and seeds), got different ones"
        )
    rows = {key: row for row, key in enumerate(second.keys)}
    difference = second.best[[rows[key] for key in first.keys]] - first.best
    counts = np.count_nonzero(~np.isnan(difference), axis=0)
    variances = np.nanvar(difference, axis=0, ddof=1) / counts
    return _mean(difference), float(np.sqrt(np.nansum(variances)) / np.count_nonzero(counts))


def _mean(dice: Dice) -> float:
    return float(np.nanmean(dice, axis=0).mean())
