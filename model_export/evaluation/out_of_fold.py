"""Out-of-fold predictions: every strip by the model of the fold that did not train on it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.pixels import StripIds, split_ids
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.evaluation.curves import ThresholdCurves, count_pixels
from model_export.evaluation.overlaps import measure_overlaps, predict_strips
from model_export.metrics import Overlap
from service.model.metadata import ModelMetadata
from service.model.session import OrtSession

FOLDS = "folds"
"""Folder beside a model file that holds the models of its folds: 1.onnx, 2.onnx, …"""


@dataclass(frozen=True)
class OutOfFoldResults:
    """Strips with the predictions of models that used them neither for training nor for tuning."""

    strips: list[LabelledStrip]
    fold: npt.NDArray[np.int64]
    """int64 ``[strips]``: fold of each strip, from 1."""
    curves: ThresholdCurves
    """Pixel counts and class probabilities of each strip."""
    overlaps: dict[str, list[list[Overlap]]]
    """By profile: per strip, an entry per class."""

    class_ids: tuple[int, ...]
    """Of the models."""

    @property
    def defective(self) -> npt.NDArray[np.bool_]:
        """Bool ``[strips]``: whether a strip holds a defect."""
        return np.array([bool(strip.classes) for strip in self.strips])

    def of_fold(self, profile: str, fold: int) -> list[list[Overlap]]:
        """Return the overlaps of one fold's strips."""
        return [found for found, own in zip(self.overlaps[profile], self.fold, strict=True) if own == fold]


def open_fold_sessions(model: Path, threads: int | None = None) -> list[OrtSession]:
    """Open the fold models of a model file.

    Raises:
        DataError: if there are none.
    """
    folder = model.parent / FOLDS
    paths = sorted(folder.glob("*.onnx"), key=lambda path: int(path.stem))
    if not paths:
        raise DataError(f"{folder} holds no fold models; export --cross-validation writes them")
    return [OrtSession(path, threads=threads) for path in paths]


def predict_out_of_fold(sessions: Sequence[OrtSession], strips: Sequence[LabelledStrip]) -> OutOfFoldResults:
    """Run every strip through the model of its fold, whose thresholds were chosen without it.

    Strips that are in no fold's test are left out.

    Raises:
        DataError: if a strip is in the test of several folds, a model trained on a strip of its test, or no
            strip is left.
    """
    tests = [test_strip_ids(session.metadata) for session in sessions]
    twice = [name for name, count in Counter(name for test in tests for name in test).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} strips are in the test of more than one fold, e.g. {twice[0]}")
    chosen: list[LabelledStrip] = []
    folds: list[int] = []
    curves: list[ThresholdCurves] = []
    class_ids = sessions[0].metadata.class_ids
    profiles = [profile.name for profile in sessions[0].metadata.profiles]
    overlaps: dict[str, list[list[Overlap]]] = {name: [] for name in profiles}
    ids = StripIds(strips)
    for number, (session, test) in enumerate(zip(sessions, tests, strict=True), 1):
        known = ids.like(session.metadata.split)
        own = [strip for strip, one in zip(strips, known, strict=True) if one in test]
        predictions = predict_strips(
            session, own, Tile.of(session.metadata), f"fold {number} of {len(sessions)}"
        )
        for strip, (truth, prediction) in zip(own, predictions, strict=True):
            curves.append(count_pixels(strip.name, truth, prediction))
            for profile in session.metadata.profiles:
                overlaps[profile.name].append(measure_overlaps(prediction, truth, profile))
        chosen += own
        folds += [number] * len(own)
    if not chosen:
        raise DataError("no fold of the model held out any of these strips")
    return OutOfFoldResults(chosen, np.array(folds), ThresholdCurves.join(curves), overlaps, class_ids)


def test_strip_ids(metadata: ModelMetadata) -> frozenset[str]:
    """Return the ids of the strips that a fold's model may be evaluated on (``data.pixels``).

    Raises:
        DataError: if it was trained or tuned on one of them.
    """
    ids = split_ids(metadata.split)
    seen = ids.test & ids.seen
    if seen:
        raise DataError(f"a fold's model was trained on {len(seen)} of its own test strips")
    return ids.test
