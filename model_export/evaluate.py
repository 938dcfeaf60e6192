"""Scores of a model file on labelled strips, through the service's own session and postprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from model_export.data import DataError, LabelledStrip, read_kaggle
from model_export.metrics import Overlap, class_scores, format_table
from model_export.synthetic import drawn_strips
from service.metadata import ClassScore, ModelMetadata, OperatingPoint
from service.model_repository import find_model
from service.postprocess import segment
from service.session import OrtSession, Session

_UNUSED_SEED = 1_000_003
"""Drawn strips of this seed are never trained on."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Print scores per class: Dice as Kaggle defines it, Dice on positives, recall, false alarms."""

    data: Path | None = None
    """Folder in Kaggle's layout."""
    drawn: int = 0
    """Score this many drawn strips, none of them ever trained on (instead of --data)."""
    model: Path = Path("models")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    profile: str | None = None
    """An operating point of the model; default: each of them."""
    strips: Literal["unseen", "test", "all"] = "unseen"
    """Of --data: unseen leaves out those that trained the model or tuned its thresholds, by name; test
    takes the test strips of the model's own split; all says nothing about new strips."""
    skip_bad: bool = False
    """Leave out (and name) images that are missing or of the wrong size, instead of stopping."""
    threads: int | None = None
    """Processors for one inference."""


def evaluate(config: EvaluateConfig) -> None:
    """Print the scores of a model file."""
    session = OrtSession(find_model(config.model), threads=config.threads)
    metadata = session.metadata
    strips, description = _strips(config, metadata)
    profiles = [p for p in metadata.profiles if config.profile in (None, p.name)]
    if not profiles:
        known = ", ".join(profile.name for profile in metadata.profiles)
        raise DataError(f"the model has no profile {config.profile!r}; it has {known}")
    print(f"model    {metadata.name} {metadata.version}, sha256 {session.sha256[:12]}, {session.provider}")
    print(f"strips   {description}")
    scores = score_points(session, strips, profiles)
    names = [kind.name for kind in metadata.classes]
    for profile, result in zip(profiles, scores, strict=True):
        print(f"\nprofile  {profile.name}: {profile.description}")
        print(
            f"         class threshold {profile.class_threshold}, threshold {profile.threshold}, "
            f"minimum area {profile.min_area}"
        )
        print(format_table(result, names))


def score_points(
    session: Session, strips: Sequence[LabelledStrip], points: Sequence[OperatingPoint]
) -> list[tuple[ClassScore, ...]]:
    """Score operating points on strips; each strip is opened and run once."""
    overlaps: list[list[list[Overlap]]] = [[] for _ in points]
    for strip in tqdm(strips, "scoring", unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        answer = session.infer([image])[0]
        for point, collected in zip(points, overlaps, strict=True):
            found = segment(answer.classes, answer.masks, point)
            collected.append(
                [
                    Overlap(
                        predicted=one.area,
                        true=int(np.count_nonzero(mask)),
                        both=0 if one.mask is None else int(np.count_nonzero(one.mask & mask.T)),
                    )
                    for one, mask in zip(found, truth, strict=True)
                ]
            )
    return [class_scores(collected) for collected in overlaps]


def _strips(config: EvaluateConfig, metadata: ModelMetadata) -> tuple[Sequence[LabelledStrip], str]:
    if config.data is None:
        if config.drawn < 1:
            raise DataError("name strips to score: --data FOLDER or --drawn COUNT")
        return drawn_strips(config.drawn, _UNUSED_SEED), f"{config.drawn} drawn strips, never trained on"
    strips = read_kaggle(config.data, skip_bad=config.skip_bad)
    if config.strips == "all":
        return strips, f"all {len(strips)} of {config.data}, those that trained and tuned the model included"
    if config.strips == "test":
        test = set(metadata.split.test)
        chosen = [strip for strip in strips if strip.name in test]
        description = f"the {len(test)} test strips of the model's split"
        if len(chosen) < len(test):
            description += f", {len(test) - len(chosen)} of which are not in {config.data}"
    else:
        seen = set(metadata.split.train) | set(metadata.split.validation)
        chosen = [strip for strip in strips if strip.name not in seen]
        description = (
            f"{len(chosen)} of the {len(strips)} in {config.data}; {len(strips) - len(chosen)} trained the "
            "model or tuned its thresholds and are left out"
        )
    if not chosen:
        raise DataError(f"{config.data} holds no strip to score: {description}")
    return chosen, description
