"""``suggest``: which unlabelled strips to label next, with the model's masks to start from."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_export.data.digest import strip_digest
from model_export.data.kaggle import list_images, read_image
from model_export.data.options import BitsOption
from model_export.data.pixels import split_ids
from model_export.data.split import Profiles, similarity, streak_profile
from model_export.data.tile import Tile, cut_frame
from model_export.errors import DataError, check_least
from model_export.evaluation.disagreement import disagreement
from model_export.evaluation.frames import predict_image
from model_export.evaluation.out_of_fold import open_fold_sessions
from service.geometry import Strip
from service.masks import label_studio
from service.model.health import check_health
from service.model.metadata import HealthLimits, ModelMetadata
from service.model.postprocess import ClassMask
from service.model.repository import find_model
from service.model.session import OrtSession


@dataclass(frozen=True)
class SuggestConfig:
    """Rank unlabelled strips by what labelling them is worth.

    Strips come first on which the models of the folds disagree and that look unlike those of the training; of
    the strips of one coil, one comes before the others. Writes suggestions.csv, and label_studio.json and
    .xml with the model's masks to correct.
    """

    images: Path
    """Folder of unlabelled strips; those that trained or tuned the model are left out."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file with its folds, or a folder <name>/<version>/model.onnx."""
    out: Path = Path("runs/suggest")
    """Folder to write into."""
    count: int = 50
    """Number of strips to suggest."""
    profile: str = "inspection"
    """Operating point of the masks."""
    label_studio_images: str = "/data/local-files/?d="
    """Prefix of a strip's path in the URL that Label Studio opens."""
    bits: BitsOption = None
    """Bits of a pixel in 16-bit files, as the service's parameter; by default all 16 are in use."""
    threads: int | None = None
    """Threads per inference."""


@dataclass(frozen=True)
class Candidate:
    """An unlabelled strip."""

    path: Path
    disagreement: float
    """Of the models of the folds."""
    novelty: float
    """Distance from the training strips; 0 if the model does not know how these look."""
    classes: list[ClassMask]
    """The model's answer."""


def suggest(config: SuggestConfig) -> Path:
    """Write the suggestions and return the path of the table.

    Raises:
        DataError: if there is no new strip, the model has no folds, or it lacks the profile.
    """
    check_least("--count", config.count, 1)
    check_least("--threads", config.threads, 1)
    if not config.images.is_dir():
        raise DataError(f"there is no folder {config.images}")
    path = find_model(config.model)
    session = OrtSession(path, threads=config.threads)
    folds = open_fold_sessions(path, config.threads)
    point = session.metadata.profile(config.profile)
    if point is None:
        known = ", ".join(profile.name for profile in session.metadata.profiles)
        raise DataError(f"expected a profile of the model ({known}), got {config.profile!r}")
    limits, tile = session.metadata.health, Tile.of(session.metadata)
    seen = [split_ids(one.metadata.split).seen for one in (session, *folds)]
    by_name = session.metadata.split.pixels is None
    candidates: list[Candidate] = []
    profiles = []
    for image in tqdm(list_images(config.images), "asking", unit="strip", dynamic_ncols=True):
        strip = read_image(image, config.bits)
        own = image.name if by_name else strip_digest(strip)
        if any(own in ids for ids in seen):
            continue
        answer = predict_image(session, strip, tile, image.name)
        candidates.append(
            Candidate(
                path=image,
                disagreement=disagreement(
                    [predict_image(fold, strip, tile, image.name).whole() for fold in folds]
                ),
                novelty=0.0 if limits is None else _novelty(strip, tile, limits),
                classes=answer.at(point, session.metadata.class_ids),
            )
        )
        profiles.append(streak_profile(strip))
    if not candidates:
        raise DataError(f"{config.images} holds no strip that the model has not seen")
    if limits is None:
        print("the model file does not say how its training strips look: ranked by disagreement alone")
    chosen = [candidates[index] for index in rank(candidates, np.stack(profiles), config.count)]
    config.out.mkdir(parents=True, exist_ok=True)
    table = config.out / "suggestions.csv"
    _write_table(chosen, session.metadata, table)
    _write_tasks(chosen, session.metadata, config)
    print(f"wrote {table}: {len(chosen)} of {len(candidates)} strips; label_studio.json has masks to correct")
    return table


def _novelty(strip: Strip, tile: Tile, limits: HealthLimits) -> float:
    """Return the distance of a strip from the training strips, of its most unusual tile."""
    return max(check_health(one, limits).novelty for one in cut_frame(strip, tile).tiles)


def rank(candidates: Sequence[Candidate], profiles: Profiles, count: int) -> list[int]:
    """Return the indices of the strips to label, best first.

    Strips are taken one by one by the mean of their ranks in disagreement and novelty, times what their
    streaks have not in common with those of the strips that are chosen already.

    Args:
        candidates: the strips.
        profiles: their streak profiles.
        count: the most to return.
    """
    disagreements = _ranks([one.disagreement for one in candidates])
    worth = (disagreements + _ranks([one.novelty for one in candidates])) / 2
    alike = np.zeros(len(candidates))
    left = np.ones(len(candidates), dtype=np.bool_)
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        best = int(np.where(left, worth * (1 - alike), -1).argmax())
        chosen.append(best)
        left[best] = False
        alike = np.maximum(alike, similarity(profiles, profiles[[best]])[:, 0].clip(0, 1))
    return chosen


def _ranks(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the share of values that each one reaches; equal values share theirs."""
    array = np.asarray(values)
    return np.asarray((array[:, None] >= array[None]).mean(axis=1))


def _write_table(chosen: Sequence[Candidate], metadata: ModelMetadata, path: Path) -> None:
    names = [kind.name for kind in metadata.classes]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("rank", "file", "disagreement", "novelty", "reported", *names))
        for number, one in enumerate(chosen, 1):
            reported = " + ".join(
                name for name, found in zip(names, one.classes, strict=True) if found.present
            )
            writer.writerow(
                (
                    number,
                    one.path.name,
                    f"{one.disagreement:.4f}",
                    f"{one.novelty:.2f}",
                    reported,
                    *(f"{found.probability:.4f}" for found in one.classes),
                )
            )


def _write_tasks(chosen: Sequence[Candidate], metadata: ModelMetadata, config: SuggestConfig) -> None:
    names = {kind.id: kind.name for kind in metadata.classes}
    tasks: list[dict[str, Any]] = []
    for one in chosen:
        regions = [
            label_studio.brush_region(found.class_id, names[found.class_id], found.probability, found.mask)
            for found in one.classes
            if found.mask is not None
        ]
        prediction = {
            "model_version": f"{metadata.name} {metadata.version}",
            "score": one.disagreement,
            "result": regions,
        }
        url = config.label_studio_images + quote(os.fsencode(one.path.name))
        tasks.append({"data": {"image": url, "file": one.path.name}, "predictions": [prediction]})
    (config.out / "label_studio.json").write_text(json.dumps(tasks), encoding="utf-8")
    interface = label_studio.labelling_interface(names)
    (config.out / "label_studio.xml").write_text(interface, encoding="utf-8")
