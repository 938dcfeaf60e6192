"""Every strip as answered by the model of the fold that did not train on it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.data.labelled_strip import LabelledStrip
from model_export.errors import DataError
from model_export.evaluation.curves import ThresholdCurves, tally
from model_export.evaluation.overlaps import answered, overlaps_of
from model_export.metrics import Overlap
from service.model.metadata import ModelMetadata
from service.model.session import OrtSession

FOLDS = "folds"
"""Folder beside a model file with the models of its folds: 1.onnx, 2.onnx, …"""


@dataclass(frozen=True)
class OutOfFold:
    """Strips with the answers of models that saw them neither in training nor in tuning."""

    strips: list[LabelledStrip]
    fold: npt.NDArray[np.int64]
    """int64 ``[strips]``: fold of each, from 1."""
    curves: ThresholdCurves
    """Pixel counts and class probabilities, strip by strip."""
    overlaps: dict[str, list[list[Overlap]]]
    """By profile: per strip, an entry per class."""

    @property
    def defective(self) -> npt.NDArray[np.bool_]:
        """Bool ``[strips]``: whether a strip holds a defect."""
        return np.array([bool(strip.classes) for strip in self.strips])

    def of_fold(self, profile: str, fold: int) -> list[list[Overlap]]:
        """Overlaps of one fold's strips."""
        return [found for found, own in zip(self.overlaps[profile], self.fold, strict=True) if own == fold]


def fold_sessions(model: Path, threads: int | None = None) -> list[OrtSession]:
    """Open the models of the folds of a model file.

    Raises:
        DataError: if there are none.
    """
    folder = model.parent / FOLDS
    paths = sorted(folder.glob("*.onnx"), key=lambda path: int(path.stem))
    if not paths:
        raise DataError(f"{folder} holds no models of folds; export --cross-validation writes them")
    return [OrtSession(path, threads=threads) for path in paths]


def out_of_fold(sessions: Sequence[OrtSession], strips: Sequence[LabelledStrip]) -> OutOfFold:
    """Run every strip through the model of its fold; what chose that model's thresholds did not see it.

    Strips that no fold tests are left out.

    Raises:
        DataError: if a strip is tested by several folds, trained its own judge, or no strip is left.
    """
    tests = [test_strips(session.metadata) for session in sessions]
    twice = [name for name, count in Counter(name for test in tests for name in test).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} strips are tested by more than one fold, {twice[0]} for one")
    chosen: list[LabelledStrip] = []
    folds: list[int] = []
    curves: list[ThresholdCurves] = []
    profiles = [profile.name for profile in sessions[0].metadata.profiles]
    overlaps: dict[str, list[list[Overlap]]] = {name: [] for name in profiles}
    for number, (session, test) in enumerate(zip(sessions, tests, strict=True), 1):
        own = [strip for strip in strips if strip.name in test]
        answers = answered(session, own, f"fold {number} of {len(sessions)}")
        for strip, (truth, answer) in zip(own, answers, strict=True):
            curves.append(tally(strip.name, truth, answer))
            for profile in session.metadata.profiles:
                overlaps[profile.name].append(overlaps_of(answer, truth, profile))
        chosen += own
        folds += [number] * len(own)
    if not chosen:
        raise DataError("none of these strips was held out by a fold of the model")
    return OutOfFold(chosen, np.array(folds), ThresholdCurves.join(curves), overlaps)


def test_strips(metadata: ModelMetadata) -> frozenset[str]:
    """Name the strips that a fold's model may be judged on.

    Raises:
        DataError: if it was trained on one of them.
    """
    test = frozenset(metadata.split.test)
    seen = test & {*metadata.split.train, *metadata.split.validation}
    if seen:
        raise DataError(f"a fold's model was trained on {len(seen)} of its own test strips")
    return test
