"""``tune``: thresholds of a model file chosen anew on a plant's own strips, without training."""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from model_export.data.classes import check_same
from model_export.data.kaggle import read_kaggle
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.options import BitsOption
from model_export.data.own_split import read_groups
from model_export.data.pixels import StripIds, unseen_strips
from model_export.data.split import assign_folds
from model_export.data.tile import Tile
from model_export.errors import DataError, check_least
from model_export.evaluation.calibrate import choose_temperature, log_odds, review_bands
from model_export.evaluation.curves import ThresholdCurves, measure_curves
from model_export.evaluation.out_of_fold import FOLDS
from model_export.evaluation.overlaps import measure_overlaps_at
from model_export.evaluation.tune import InspectionRules, keep_classes, strips_needed, tune
from model_export.metrics import Overlap, class_scores, format_table
from model_export.onnx_export.card import write_card
from model_export.onnx_export.graph_session import GraphSession
from model_export.onnx_export.health_limits import learn_health_limits
from model_export.onnx_export.install import install
from model_export.onnx_export.profiles import TUNED, TunedProfiles
from model_export.onnx_export.retune_folds import describe_fold, list_folds, tune_folds
from model_export.onnx_export.rewrite import open_ungated, rewrite
from model_export.onnx_export.triton_config import write_triton_config
from service.model.metadata import Calibration, HealthLimits, ModelMetadata, OperatingPoint, Split
from service.model.repository import GPU_MODEL, MODEL, find_model, gpu_variant
from service.model.saved_profile import profile_name, read_saved_profile
from service.model.session import OrtSession


@dataclass(frozen=True)
class TuneConfig:
    """Choose thresholds, profiles, review bands and limits of image health anew; nothing is trained.

    Writes a new version of the model file, with a card, for the steel of --data. Its scores come from parts
    of these strips, each at thresholds chosen on the others.
    """

    data: Path
    """Folder in Kaggle's layout: labelled strips of the plant, each class and clean ones among them. Strips
    that trained or tuned the model are left out."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    out: Path = Path("runs/models")
    """Model repository; the file becomes <out>/<name>/<version>/model.onnx."""
    version: int | None = None
    """Version of the new file; default: the next after the model's own and those in --out."""
    parts: int = 5
    """Number of parts, strips of one coil in one."""
    groups: Path | None = None
    """Table with the columns ImageId,Group: images of one group are in one part. Default: groups.csv in
    --data, if it lies there, else strips that look alike."""
    seed: int = 0
    """Of the parts."""
    skip_bad: bool = False
    """Leave out, and print, images that are missing, unreadable or of other bits, instead of stopping."""
    bits: BitsOption = None
    """Bits of a pixel in 16-bit files, as the service's parameter; by default all 16 are in use."""
    out_of_fold: bool = False
    """Tune on answers of the models of the folds, which lie beside the model file, instead of on strips that
    the model has not seen; the folds get new thresholds too, each from the strips of the others."""
    fold_file: Path | None = None
    """With --out-of-fold, CSV with the columns name,fold: the folds of strips that are in no fold's test."""
    profile: Path | None = None
    """A profile that was saved on the service's page: the new version has it, too, with its scores."""
    rules: InspectionRules = field(default_factory=InspectionRules)


def retune(config: TuneConfig) -> Path:
    """Write the new version and return the path of its file.

    Raises:
        OptionError: if an option cannot be.
        DataError: if the version exists, there are too few strips, or ``list_folds`` raises it.
    """
    check_least("--parts", config.parts, 2)
    check_least("--version", config.version, 1)
    check_least("--seed", config.seed, 0)
    if config.out_of_fold and config.profile is not None:
        raise DataError("--profile: expected no --out-of-fold, which tunes the profiles of the folds alone")
    path = find_model(config.model)
    metadata = OrtSession(path).metadata
    target = config.out / metadata.name / str(_version(config, metadata)) / MODEL
    if target.exists():
        raise DataError(f"{target} exists: choose another --version")
    check_same(metadata.classes, config.data, str(config.model))
    listed = read_kaggle(config.data, bits=config.bits, skip_bad=config.skip_bad)
    strips = unseen_strips(listed, metadata.split)
    folds = list_folds(path, listed, config.fold_file) if config.out_of_fold else []
    fold_profiles: list[TunedProfiles] = []
    if folds:
        profiles, fold_profiles = tune_folds(folds, config.rules)
        calibration, health = metadata.calibration.model_copy(update={"temperature": 1.0}), metadata.health
    else:
        _check_count(strips, listed, config)
        profiles, calibration = _tune(path, metadata, strips, config)
        health = learn_health_limits(strips, Tile.of(metadata))
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        new = _describe(metadata, strips, config, profiles, calibration, health)
        new = new.model_copy(update={"version": target.parent.name})
        written = rewrite(path, new, profiles, Path(folder) / MODEL)
        if (gpu := gpu_variant(path)) != path:
            precision = {"precision": OrtSession(gpu).metadata.precision}
            rewrite(
                gpu, new.model_copy(update=precision | {"gate": None}), profiles, Path(folder) / GPU_MODEL
            )
        if folds:
            (Path(folder) / FOLDS).mkdir()
        for fold, own in zip(folds, fold_profiles, strict=True):
            described = describe_fold(fold, own).model_copy(update={"version": target.parent.name})
            rewrite(fold.path, described, own, Path(folder) / FOLDS / fold.path.name)
        install(Path(folder), target)
    write_card(OrtSession(target).metadata, target.with_name("README.md"))
    write_triton_config(target)
    for profile in written.profiles:
        old = metadata.profile(profile.name)
        print(f"\nprofile {profile.name} on {profile.measured_on}")
        print(f"class thresholds {profile.class_threshold}, were {old.class_threshold if old else 'none'}")
        print(format_table(profile.scores, [kind.name for kind in written.classes]))
    print(f"\nwrote {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return target


def _check_count(
    strips: Sequence[LabelledStrip], listed: Sequence[LabelledStrip], config: TuneConfig
) -> None:
    """Print how many strips are left out.

    Raises:
        DataError: if too few are left.
    """
    if len(strips) < len(listed):
        print(f"{len(listed) - len(strips)} strips trained or tuned the model and are left out")
    least = 2 * config.parts
    if len(strips) < least:
        raise DataError(
            f"expected {least} strips that the model has not seen for {config.parts} parts (--parts), got "
            f"{len(strips)}"
        )


def _version(config: TuneConfig, metadata: ModelMetadata) -> int:
    if config.version is not None:
        return config.version
    taken = [int(path.name) for path in (config.out / metadata.name).glob("*") if path.name.isdigit()]
    return max([*taken, int(metadata.version) if metadata.version.isdigit() else 0]) + 1


def _tune(
    path: Path, metadata: ModelMetadata, strips: Sequence[LabelledStrip], config: TuneConfig
) -> tuple[TunedProfiles, Calibration]:
    """Choose operating points on all strips, and score those of each part's others on the part."""
    rules, tile = config.rules.spread(len(metadata.classes)), Tile.of(metadata)
    session = GraphSession(open_ungated(path, metadata, 1.0), path)
    curves = measure_curves(session, strips, tile, "tuning")
    kept = _kept_classes(curves, metadata, rules)
    groups = read_groups(config.data, strips, config.groups)
    parts = [part for part in assign_folds(strips, config.parts, config.seed, groups) if part]
    if len(parts) < 2:
        raise DataError("expected strips of two coils or more, got strips that all look like one coil")
    numbers = np.zeros(len(strips), dtype=np.int64)
    for number, part in enumerate(parts):
        numbers[part] = number
    calibration = choose_temperature(log_odds(curves.probability), curves.true > 0, numbers)
    if calibration.temperature != 1:
        session = GraphSession(open_ungated(path, metadata, calibration.temperature), path)
        curves = measure_curves(session, strips, tile, "tuning at the new temperature")
    old = _old_points(metadata, calibration.temperature, rules)
    saved = _saved_point(metadata, calibration.temperature, config.profile)
    pooled: dict[str, list[Sequence[Overlap]]] = {}
    for number, part in enumerate(parts):
        points = {**keep_classes(tune(curves.select(numbers != number), rules), old, kept), **saved}
        own = [strips[index] for index in part]
        found = measure_overlaps_at(session, own, tile, list(points.values()))
        for name, overlaps in zip(points, found, strict=True):
            pooled.setdefault(name, []).extend(overlaps)
    profiles = TunedProfiles(
        points={**keep_classes(tune(curves, rules), old, kept), **saved},
        scores={name: class_scores(found, metadata.class_ids) for name, found in pooled.items()},
        review_bands=review_bands(curves.probability, curves.true > 0),
        tuned_on=f"{len(strips)} strips of {config.data.name}",
        measured_on=f"{len(strips)} strips of {config.data.name} in {len(parts)} parts, each at thresholds "
        "chosen on the others",
    )
    return profiles, calibration


def _kept_classes(curves: ThresholdCurves, metadata: ModelMetadata, rules: InspectionRules) -> list[bool]:
    """Return which classes keep their thresholds, for want of strips with the class; print them."""
    counts = np.count_nonzero(curves.true, axis=0).tolist()
    needed = [strips_needed(floor) for floor in rules.recall_floor]
    kept = [count < least for count, least in zip(counts, needed, strict=True)]
    for kind, count, least, keep in zip(metadata.classes, counts, needed, kept, strict=True):
        if keep:
            print(
                f"class {kind.id} {kind.name} keeps its thresholds, at the least probability or above: "
                f"{count} strips hold it, {least} are needed for its recall floor"
            )
    return kept


def _old_points(
    metadata: ModelMetadata, temperature: float, rules: InspectionRules
) -> dict[str, OperatingPoint]:
    """Return the profiles of the old version at another temperature, no class below its least probability."""
    return {
        profile.name: _at_temperature(profile, temperature, rules.least_probability)
        for profile in metadata.profiles
    }


def _saved_point(metadata: ModelMetadata, temperature: float, path: Path | None) -> dict[str, OperatingPoint]:
    """Return the profile that a person saved at another temperature, by its name; empty without one.

    Raises:
        DataError: if its name is that of a profile that is tuned.
        ModelFileError: if it is not a profile for this model's classes.
    """
    if path is None:
        return {}
    saved, name = read_saved_profile(path), profile_name(str(path))
    saved.check_classes(metadata)
    if name in TUNED:
        raise DataError(f"--profile: expected another name than {' and '.join(TUNED)}, got {path}")
    return {name: _at_temperature(saved, temperature, (0.0,) * len(metadata.classes))}


def _at_temperature(point: OperatingPoint, temperature: float, least: Sequence[float]) -> OperatingPoint:
    """Return an operating point at another temperature, no class below its least probability."""
    return OperatingPoint.model_validate(
        {
            "class_threshold": [
                max(lowest, float(1 / (1 + np.exp(-log_odds(np.array(threshold)) / temperature))))
                for threshold, lowest in zip(point.class_threshold, least, strict=True)
            ],
            "threshold": point.threshold,
            "min_area": point.min_area,
        }
    )


def _describe(
    metadata: ModelMetadata,
    strips: Sequence[LabelledStrip],
    config: TuneConfig,
    profiles: TunedProfiles,
    calibration: Calibration,
    health: HealthLimits | None,
) -> ModelMetadata:
    """Return the metadata of the new version, still with the golden strip of the old one."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    tuned = {
        "tuned": f"{today}, from version {metadata.version}, on {profiles.tuned_on}",
        **asdict(config.rules.spread(len(metadata.classes))),
    }
    provenance = metadata.provenance
    return metadata.model_copy(
        update={
            "profiles": profiles.describe(),
            "split": _with_tuned(metadata.split, strips),
            "provenance": provenance.model_copy(update={"config": provenance.config | tuned}),
            "calibration": calibration.model_copy(
                update={"temperature": metadata.calibration.temperature * calibration.temperature}
            ),
            "gate": None if metadata.gate is None else profiles.gate(),
            "health": health,
            "review_bands": profiles.review_bands,
        }
    )


def _with_tuned(split: Split, strips: Sequence[LabelledStrip]) -> Split:
    """Return a split whose validation strips are also those that tuned the new version."""
    names = tuple(strip.name for strip in strips)
    pixels = split.pixels
    if pixels is not None:
        end = len(split.train) + len(split.validation)
        pixels = (*pixels[:end], *StripIds(strips).pixels, *pixels[end:])
    return split.model_copy(update={"validation": (*split.validation, *names), "pixels": pixels})
