"""``evaluate``: scores of a model file, through the service's own session and postprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np

from model_export.data import severstal
from model_export.data.classes import check_same
from model_export.data.kaggle import read_kaggle
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.options import BitsOption
from model_export.data.own_split import SETS, read_sets
from model_export.data.pixels import StripIds, split_ids, unseen_strips
from model_export.data.synthetic import drawn_strips
from model_export.data.tile import Tile
from model_export.errors import DataError, OptionError, check_least
from model_export.evaluation.calibrate import expected_calibration_error
from model_export.evaluation.mill import ClassBalance, choose_balance, describe_thousand, mill_weights
from model_export.evaluation.out_of_fold import OutOfFoldResults, open_fold_sessions, predict_out_of_fold
from model_export.evaluation.overlaps import overlaps_of, predict_strips
from model_export.evaluation.pooled import background_overlap, format_pooled
from model_export.metrics import Overlap, class_scores, format_table, mean_or_none, rejection_at_recall
from service.model.metadata import ModelMetadata, Profile
from service.model.repository import find_model
from service.model.session import OrtSession

HELD_OUT_SEED = 1_000_003
"""Seed of drawn strips that no training uses."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Print scores per class: Dice as Kaggle defines it, Dice on positives, recall, false alarms."""

    data: Path | None = None
    """Folder in Kaggle's layout."""
    drawn: int = 0
    """Score this many drawn strips, which no training uses (instead of --data)."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    profile: str | None = None
    """Operating point of the model; default: all."""
    strips: Literal["unseen", "test", "all"] = "unseen"
    """Strips of --data. unseen: those that neither trained the model nor tuned its thresholds, told by their
    pixels (by name for models exported before files held hashes); test: the test strips of the model's split;
    all: every strip, which says nothing about new ones."""
    split: Path | None = None
    """Table with the columns ImageId,Set, whose test images are those of --strips test; default: split.csv in
    --data, if it lies there, else the split of the model. One that the model has seen is refused."""
    out_of_fold: bool = False
    """Score every strip of --data with the model of the fold that did not train on it."""
    balance: Path | None = None
    """Table of the mill's balance of classes (columns Classes,Strips), at which scores are estimated;
    default: balance.csv in --data, if it lies there, else the balance of the strips that are scored."""
    clean_share: float | None = None
    """Share of clean strips at the mill, instead of --balance."""
    skip_bad: bool = False
    """Leave out, and print, images that are missing, unreadable or of other bits, instead of stopping."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16."""
    threads: int | None = None
    """Threads per inference."""


def evaluate(config: EvaluateConfig) -> None:
    """Print the scores of a model file.

    Raises:
        OptionError: if an option cannot be.
        DataError: if there are no strips to score or the model lacks the profile.
    """
    check_least("--threads", config.threads, 1)
    if config.data is None and config.drawn < 1 and not config.out_of_fold:
        raise OptionError("name strips to score: --data FOLDER or --drawn COUNT")
    if config.out_of_fold:
        _evaluate_folds(config)
        return
    session = OrtSession(find_model(config.model), threads=config.threads)
    metadata = session.metadata
    strips, description = _strips(config, metadata)
    profiles = _profiles(config, metadata)
    print(f"model    {metadata.name} {metadata.version}, sha256 {session.sha256[:12]}, {session.provider}")
    print(f"strips   {description}")
    balance = _balance(config, strips, metadata)
    names = [kind.name for kind in metadata.classes]
    overlaps: list[list[list[Overlap]]] = [[] for _ in profiles]
    background: list[list[Overlap]] = [[] for _ in profiles]
    for truth, prediction in predict_strips(session, strips, Tile.of(metadata)):
        for profile, own, behind in zip(profiles, overlaps, background, strict=True):
            found = prediction.at(profile, metadata.class_ids)
            own.append(overlaps_of(found, truth))
            behind.append(background_overlap(found, truth))
    for profile, own, behind in zip(profiles, overlaps, background, strict=True):
        print(f"\nprofile  {profile.name}: {profile.description}")
        print(
            f"         class threshold {profile.class_threshold}, threshold {profile.threshold}, "
            f"minimum area {profile.min_area}"
        )
        print(format_table(class_scores(own, metadata.class_ids), names))
        print(format_pooled(own, behind, metadata.class_ids))
        print_at_balance(strips, own, balance, metadata)


def _balance(
    config: EvaluateConfig, strips: Sequence[LabelledStrip], metadata: ModelMetadata
) -> ClassBalance:
    return choose_balance(
        strips,
        metadata.class_ids,
        data=config.data,
        file=config.balance,
        clean_share=config.clean_share,
    )


def print_at_balance(
    strips: Sequence[LabelledStrip],
    overlaps: Sequence[Sequence[Overlap]],
    balance: ClassBalance,
    metadata: ModelMetadata,
) -> None:
    """Print scores at a balance: a table, if it is the mill's, and what becomes of 1,000 strips."""
    if balance.is_known:
        print(f"\nweighted to {balance.source}:")
        weights = mill_weights(strips, balance)[0]
        names = [kind.name for kind in metadata.classes]
        print(format_table(class_scores(overlaps, metadata.class_ids, weights), names))
    print(describe_thousand(strips, overlaps, balance))


def _profiles(config: EvaluateConfig, metadata: ModelMetadata) -> list[Profile]:
    profiles = [profile for profile in metadata.profiles if config.profile in (None, profile.name)]
    if not profiles:
        known = ", ".join(profile.name for profile in metadata.profiles)
        raise DataError(f"expected a profile of the model ({known}), got {config.profile!r}")
    return profiles


def _evaluate_folds(config: EvaluateConfig) -> None:
    if config.data is None:
        raise OptionError("--out-of-fold needs photographed strips: name them with --data FOLDER")
    sessions = open_fold_sessions(find_model(config.model), config.threads)
    metadata = sessions[0].metadata
    profiles = _profiles(config, metadata)
    check_same(metadata.classes, config.data, str(config.model))
    strips = read_kaggle(config.data, bits=config.bits, skip_bad=config.skip_bad)
    _balance(config, strips, metadata)  # a mistake in it shows before the strips are predicted
    found = predict_out_of_fold(sessions, strips)
    balance = _balance(config, found.strips, metadata)
    names = [kind.name for kind in metadata.classes]
    print(f"model    {metadata.name} {metadata.version}, its {len(sessions)} folds")
    print(
        f"strips   {len(found.strips)} of the {len(strips)} in {config.data}, each by the model of the fold "
        "that held it out,\n         at thresholds tuned on the other folds"
    )
    for profile in profiles:
        print(f"\nprofile  {profile.name}: {profile.description}")
        print_out_of_fold(found, profile.name, names)
        print_at_balance(found.strips, found.overlaps[profile.name], balance, metadata)
    gap = expected_calibration_error(found.curves.probability, found.curves.true > 0)
    print(f"\ncalibration: the expected calibration error of class probabilities over ten bins is {gap:.3f}")
    clean = int((~found.defective).sum())
    if not 0 < clean < len(found.strips):
        return
    threshold, rejected = rejection_at_recall(found.curves.probability.max(axis=1), found.defective, 0.98)
    print(
        f"\ngate     at the threshold {threshold:.3f} of the highest class probability 98 % of the "
        f"{int(found.defective.sum())} defective\n"
        f"         strips pass and {rejected:.1%} of the {clean} clean ones are rejected (a point of these "
        "strips' ROC curve)"
    )


def print_out_of_fold(found: OutOfFoldResults, profile: str, names: Sequence[str]) -> None:
    """Print the scores of one profile, on these strips and per fold."""
    overlaps = found.overlaps[profile]
    print(format_table(class_scores(overlaps, found.class_ids), names))
    each = [
        class_scores(found.of_fold(profile, int(fold)), found.class_ids) for fold in np.unique(found.fold)
    ]
    by_fold = [mean_or_none([score.dice_positive for score in scores]) or 0.0 for scores in each]
    print(
        f"Dice+ from fold to fold: {', '.join(f'{value:.3f}' for value in by_fold)} "
        f"(mean {np.mean(by_fold):.3f}, standard deviation {np.std(by_fold, ddof=1):.3f})"
    )
    for kind, chosen in (("defective", found.defective), ("clean", ~found.defective)):
        reported = [any(one.predicted for one in strip) for strip in compress(overlaps, chosen)]
        print(f"{sum(reported)} of the {len(reported)} {kind} strips are reported")


def _strips(config: EvaluateConfig, metadata: ModelMetadata) -> tuple[Sequence[LabelledStrip], str]:
    if config.data is None:
        check_drawn(metadata)
        return drawn_strips(config.drawn, HELD_OUT_SEED), f"{config.drawn} drawn strips, never trained on"
    check_same(metadata.classes, config.data, str(config.model))
    strips: Sequence[LabelledStrip] = read_kaggle(config.data, bits=config.bits, skip_bad=config.skip_bad)
    if config.strips == "all":
        return strips, f"all {len(strips)} of {config.data}, those that trained and tuned the model included"
    sets = read_sets(config.data, strips, config.split) if config.strips == "test" else None
    if sets is not None:
        chosen = [strip for strip, own in zip(strips, sets, strict=True) if own == "test"]
        new = unseen_strips(chosen, metadata.split)
        if len(new) < len(chosen):
            seen = next(strip.name for strip in chosen if strip not in new)
            raise DataError(
                f"the model has seen {len(chosen) - len(new)} of the {len(chosen)} test strips of "
                f"{config.split or config.data / SETS}, e.g. {seen}: their scores would be too good"
            )
        description = f"the {len(chosen)} test strips of {config.split or config.data / SETS}"
    elif config.strips == "test":
        test = split_ids(metadata.split).test
        ids = StripIds(strips).like(metadata.split)
        chosen = [strip for strip, own in zip(strips, ids, strict=True) if own in test]
        description = f"the {len(test)} test strips of the model's split"
        if len(chosen) < len(test):
            description += f", {len(test) - len(chosen)} of which are not in {config.data}"
    else:
        chosen = unseen_strips(strips, metadata.split)
        description = (
            f"{len(chosen)} of the {len(strips)} in {config.data}; {len(strips) - len(chosen)} trained the "
            "model or tuned its thresholds and are left out"
        )
    if not chosen:
        raise DataError(f"{config.data} holds no strip to score: {description}")
    return chosen, description


def check_drawn(metadata: ModelMetadata) -> None:
    """Check that a model can be scored on drawn strips.

    Raises:
        DataError: if it knows other classes than they show.
    """
    if metadata.class_ids != tuple(kind.id for kind in severstal.CLASSES):
        raise DataError(
            "drawn strips show Severstal's classes, and this model knows others: name --data FOLDER"
        )
