"""``tune --out-of-fold``: thresholds chosen on strips that the folds of a model held out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.pixels import StripIds, split_ids
from model_export.data.split import read_fold_file
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.evaluation.calibrate import review_bands
from model_export.evaluation.curves import ThresholdCurves, measure_curves
from model_export.evaluation.out_of_fold import FOLDS
from model_export.evaluation.overlaps import measure_overlaps_at
from model_export.evaluation.tune import InspectionRules, tune
from model_export.metrics import Overlap, class_scores
from model_export.onnx_export.graph_session import GraphSession
from model_export.onnx_export.profiles import TunedProfiles
from model_export.onnx_export.rewrite import open_ungated
from service.model.metadata import ModelMetadata
from service.model.session import OrtSession


class Fold(NamedTuple):
    """The model of a fold, and the strips that it answers."""

    path: Path
    metadata: ModelMetadata
    strips: list[LabelledStrip]


def list_folds(model: Path, strips: Sequence[LabelledStrip], fold_file: Path | None) -> list[Fold]:
    """Return the folds of a model file with the strips that each held out, or that the fold file gives it.

    Raises:
        DataError: if there are no folds, a strip is in none, or a fold's model has seen one of its strips.
    """
    paths = sorted((model.parent / FOLDS).glob("*.onnx"), key=lambda path: int(path.stem))
    if not paths:
        raise DataError(f"expected models of folds in {model.parent / FOLDS}, got none")
    metadata = [OrtSession(path).metadata for path in paths]
    ids = StripIds(strips)
    if fold_file is None:
        owned = [
            [index for index, own in enumerate(ids.like(one.split)) if own in split_ids(one.split).test]
            for one in metadata
        ]
    else:
        owned = read_fold_file(fold_file, strips, len(paths))
    left = len(strips) - len({index for indices in owned for index in indices})
    if left or sum(map(len, owned)) > len(strips):
        raise DataError(
            f"expected each of {len(strips)} strips in the test of one fold, got {left} in none; --fold-file "
            "gives strips that the model has not seen to folds"
        )
    for path, one, indices in zip(paths, metadata, owned, strict=True):
        known, seen = ids.like(one.split), split_ids(one.split).seen
        if twice := [strips[index].name for index in indices if known[index] in seen]:
            raise DataError(f"{path} was trained or tuned on {len(twice)} of its strips, e.g. {twice[0]}")
    return [
        Fold(path, one, [strips[index] for index in indices])
        for path, one, indices in zip(paths, metadata, owned, strict=True)
    ]


def tune_folds(folds: Sequence[Fold], rules: InspectionRules) -> tuple[TunedProfiles, list[TunedProfiles]]:
    """Choose operating points on out-of-fold answers: the model's on all, a fold's on those of the others."""
    first = folds[0].metadata
    tile, ids, rules = Tile.of(first), first.class_ids, rules.spread(len(first.classes))
    sessions = [GraphSession(open_ungated(fold.path, fold.metadata), fold.path) for fold in folds]
    parts = [
        measure_curves(session, fold.strips, tile, f"measuring fold {number}")
        for number, (session, fold) in enumerate(zip(sessions, folds, strict=True), 1)
    ]
    curves = ThresholdCurves.join(parts)
    numbers = np.repeat(np.arange(len(folds)), [len(fold.strips) for fold in folds])
    pooled: dict[str, list[Sequence[Overlap]]] = {}
    tuned = []
    for number, (session, fold) in enumerate(zip(sessions, folds, strict=True)):
        others = curves.select(numbers != number)
        points = tune(others, rules)
        found = dict(
            zip(points, measure_overlaps_at(session, fold.strips, tile, list(points.values())), strict=True)
        )
        tuned.append(
            TunedProfiles(
                points=points,
                scores={name: class_scores(overlaps, ids) for name, overlaps in found.items()},
                review_bands=review_bands(others.probability, others.true > 0),
                tuned_on=f"{len(others.names)} strips of the other folds, each by the model of its own fold",
                measured_on=f"the {len(fold.strips)} strips of fold {number + 1}",
            )
        )
        for name, overlaps in found.items():
            pooled.setdefault(name, []).extend(overlaps)
    count = len(curves.names)
    whole = TunedProfiles(
        points=tune(curves, rules),
        scores={name: class_scores(overlaps, ids) for name, overlaps in pooled.items()},
        review_bands=review_bands(curves.probability, curves.true > 0),
        tuned_on=f"{count} strips, each by the model of the fold that did not train on it",
        measured_on=f"{count} strips, out of fold: {len(folds)} models of the same recipe, each on strips "
        "that neither trained it nor tuned its thresholds",
    )
    return whole, tuned


def describe_fold(fold: Fold, profiles: TunedProfiles) -> ModelMetadata:
    """Return the metadata of a fold with new profiles; the strips that it answered are its test."""
    split = fold.metadata.split
    ids = StripIds(fold.strips)
    known = split_ids(split).test
    new = [index for index, own in enumerate(ids.like(split)) if own not in known]
    names = tuple(fold.strips[index].name for index in new)
    pixels = None if split.pixels is None else (*split.pixels, *(ids.pixels[index] for index in new))
    return fold.metadata.model_copy(
        update={
            "profiles": profiles.describe(),
            "split": split.model_copy(update={"test": (*split.test, *names), "pixels": pixels}),
            "gate": None if fold.metadata.gate is None else profiles.gate(),
            "review_bands": profiles.review_bands,
        }
    )
