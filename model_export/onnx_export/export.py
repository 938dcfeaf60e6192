"""``export``: a model file from a checkpoint or a cross-validation, checked against torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import numpy as np

from model_export.data.choose import spread_by_class
from model_export.data.classes import Classes, check_classes, check_same
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.pixels import split_ids, with_pixels
from model_export.errors import DataError, OptionError, PrecisionLossError, check_least
from model_export.evaluation.calibrate import (
    Logits,
    compute_class_logits,
    fit_temperature,
    review_bands,
)
from model_export.evaluation.curves import ThresholdCurves, measure_curves
from model_export.evaluation.out_of_fold import FOLDS
from model_export.evaluation.overlaps import measure_overlaps_at
from model_export.evaluation.tune import InspectionRules, tune
from model_export.metrics import Overlap, class_scores, format_table
from model_export.onnx_export.card import write_card
from model_export.onnx_export.folds import load_at, load_folds
from model_export.onnx_export.install import install
from model_export.onnx_export.metadata import ModelIdentity
from model_export.onnx_export.model_draft import ModelDraft
from model_export.onnx_export.parity import Arithmetic, Comparison
from model_export.onnx_export.profiles import TunedProfiles
from model_export.onnx_export.triton_config import write_triton_config
from model_export.training.checkpoint import Checkpoint, restore_network
from model_export.training.config import run_folder
from model_export.training.log import score_columns
from model_export.training.mlflow_run import open_mlflow_run
from model_export.training.sources import list_strips, select_strips
from service.model.metadata import Calibration, ModelMetadata
from service.model.repository import GPU_MODEL, MODEL
from service.model.session import OrtSession

Part = TypeVar("Part")


@dataclass(frozen=True)
class ExportConfig:
    """Export a training to ONNX: calibrated, thresholds tuned, scores measured on unseen strips.

    A file whose outputs differ from torch's is not written.
    """

    checkpoint: Path = Path("runs/latest/best.pt")
    """Checkpoint of train; it is tuned on its validation strips and measured on its test strips."""
    cross_validation: Path | None = None
    """Folder of cross-validate, instead of --checkpoint. The model is its training on all strips, tuned and
    measured on every strip by the fold that did not train on it. The models of the folds are written beside
    it, for evaluate --out-of-fold."""
    out: Path = Path("runs/models")
    """Model repository; the file becomes <out>/<name>/<version>/model.onnx. Not models/: with a second name
    there the service has no default model."""
    name: str = "steel-unet-resnet18"
    """Name of the model."""
    version: int = 1
    """Version of the model, a whole number as Triton requires."""
    data: Path | None = None
    """Folder of the data set, if it has moved since the training."""
    class_names: tuple[str, ...] = ()
    """Other names for the classes, in order of their ids; default: those of the data set."""
    notice: str = ""
    """Text of the card about data and first weights: their owner and licence."""
    soft_gate: bool = False
    """Multiply each pixel's probability by its class's on the whole strip, besides the hard gate of the
    class thresholds."""
    precision: Literal["fp32", "int8"] = "int8"
    """Arithmetic of the file on a CPU. int8 takes its ranges from training strips and is about three times as
    fast where the processor multiplies bytes (VNNI, AMX). A model that it would hurt becomes fp32."""
    gate: bool = True
    """Run the decoder only on strips on which a class reaches its threshold; the results stay the same."""
    gpu: bool = True
    """Write gpu.onnx in float16 beside model.onnx; the service uses it on a GPU."""
    mlflow: bool = False
    """Log the files, the card and the scores to the run of MLflow that train --mlflow opened; of a
    cross-validation to that of the training on all strips."""
    overwrite: bool = False
    """Replace an existing version."""
    rules: InspectionRules = field(default_factory=InspectionRules)
    parity_strips: int = 24
    """Number of strips, equally many of each class, on which a file is compared with torch; of a
    cross-validation as many in each fold."""


def export(config: ExportConfig) -> Path:
    """Export as configured and return the path of the model file.

    Raises:
        OptionError: if an option cannot be.
        DataError: if the version exists, or a checkpoint or its data is missing.
        ParityError: if a file in float32 answers differently from torch.
        TrainingError: if MLflow is asked for and missing, or does not know the training.
    """
    if not config.mlflow:
        return _export(config)
    training = config.checkpoint.parent
    if config.cross_validation is not None:
        training = run_folder(config.cross_validation, 0)
    with open_mlflow_run(training, None) as run:
        target = _export(config)
        run.log_files([target, target.with_name(GPU_MODEL), target.with_name("README.md")])
        for profile in OrtSession(target).metadata.profiles:
            scores = score_columns(profile.scores)
            run.log_metrics({f"{profile.name}_{name}": value for name, value in scores.items()})
    return target


def _export(config: ExportConfig) -> Path:
    check_least("--parity-strips", config.parity_strips, 1)
    check_least("--version", config.version, 1)
    if Path(config.name).name != config.name or config.name in (".", ".."):
        raise OptionError(f"--name: expected the name of a folder, got {config.name!r}")
    target = config.out / config.name / str(config.version) / MODEL
    if target.exists() and not config.overwrite:
        raise DataError(f"{target} exists: choose another --name or --version, or --overwrite it")
    if config.cross_validation is None:
        states = [load_at(config.checkpoint, config.data)]
    else:
        states = load_folds(config.cross_validation, config.data)
    classes = _named(states[-1], config.class_names)
    config.rules.spread(len(classes))
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        try:
            metadata = _export_states(states, Path(folder), config)
        except PrecisionLossError as error:
            if config.precision == "fp32":
                raise
            print(
                f"\nint8 hurts this model: {error}\nIt becomes float32, about three times as slow on a CPU "
                "that multiplies bytes.\n"
            )
            config = replace(config, precision="fp32")
            metadata = _export_states(states, Path(folder), config, int8_problem=str(error))
        install(Path(folder), target)
    write_card(metadata, target.with_name("README.md"))
    write_triton_config(target)
    for profile in metadata.profiles:
        print(f"\nprofile {profile.name} on {profile.measured_on}")
        print(format_table(profile.scores, [kind.name for kind in classes]))
    print(
        f"\nwrote {target} ({target.stat().st_size / 1e6:.1f} MB), equal to torch on "
        f"{metadata.parity.strips} strips: {metadata.parity.pixel_agreement:.4%} of the pixels"
    )
    return target


def _named(state: Checkpoint, names: Sequence[str]) -> Classes:
    """Return the classes of a training, by other names if there are any.

    Raises:
        DataError: if there are not as many names as classes, or the data set has other classes by now.
    """
    if state.config.data is not None:
        check_same(state.classes, state.config.data, "the training")
    if not names:
        return state.classes
    if len(names) != len(state.classes):
        raise DataError(f"--class-names: expected {len(state.classes)} names, got {len(names)}")
    renamed = [
        kind.model_copy(update={"name": name}) for kind, name in zip(state.classes, names, strict=True)
    ]
    return check_classes(renamed, "--class-names")


def _export_states(
    states: Sequence[Checkpoint], folder: Path, config: ExportConfig, int8_problem: str = ""
) -> ModelMetadata:
    """Write the files to ``folder``; return the metadata of the one for CPUs.

    Raises:
        PrecisionLossError: if the arithmetic costs the model accuracy.
    """
    if config.cross_validation is None:
        return _export_one(states[0], folder, config, int8_problem)
    return _export_folds(states, folder, config, int8_problem)


def _export_one(state: Checkpoint, folder: Path, config: ExportConfig, int8_problem: str) -> ModelMetadata:
    """Export a training with validation and test strips of its own."""
    if not state.split.validation:
        raise DataError(
            "the checkpoint was trained with --fold and has no validation strips to tune on; "
            "export the folder of a cross-validate with --cross-validation"
        )
    strips = list_strips(state.config)
    class_ids = [kind.id for kind in state.classes]
    (state,) = _with_pixels([state], strips)
    validation = select_strips(strips, state.split.validation)
    test = select_strips(strips, state.split.test)
    calibration = fit_temperature(*_class_logits(state, validation))
    train = select_strips(strips, state.split.train)
    draft = _draft(state, calibration, train, folder / MODEL, config.precision, config, int8_problem)
    curves = measure_curves(draft.session, validation, state.tile, "tuning on validation strips")
    points = tune(curves, config.rules)
    compared = spread_by_class(validation, config.parity_strips)
    comparison = draft.compare(compared, points["inspection"])
    comparison.check()
    overlaps = measure_overlaps_at(draft.session, test, draft.tile, list(points.values()))
    profiles = TunedProfiles(
        points=points,
        scores={name: class_scores(found, class_ids) for name, found in zip(points, overlaps, strict=True)},
        review_bands=review_bands(curves.probability, curves.true > 0),
        tuned_on=f"{len(validation)} validation strips",
        measured_on=f"{len(test)} test strips",
    )
    if config.gpu:
        _write_gpu_file(state, calibration, profiles, compared, folder, config)
    return draft.finish(profiles, comparison, compared, gated=config.gate)


def _export_folds(
    states: Sequence[Checkpoint], folder: Path, config: ExportConfig, int8_problem: str
) -> ModelMetadata:
    """Export the folds of a cross-validation and, last of ``states``, the training on all strips.

    Temperature, thresholds and areas of a fold are chosen on the strips of the other folds.
    """
    strips = list_strips(states[-1].config)
    class_ids = [kind.id for kind in states[-1].classes]
    *folds, whole = _with_pixels(states, strips)
    held_out = [select_strips(strips, state.split.test) for state in folds]
    logits = [_class_logits(state, test) for state, test in zip(folds, held_out, strict=True)]
    (folder / FOLDS).mkdir(exist_ok=True)
    drafts = [
        _draft(
            state,
            fit_temperature(*_join(_others(logits, number))),
            select_strips(strips, state.split.train),
            folder / FOLDS / f"{number + 1}.onnx",
            "half weights" if config.precision == "fp32" else config.precision,
            config,
            int8_problem,
        )
        for number, state in enumerate(folds)
    ]
    curves = [
        measure_curves(draft.session, test, draft.tile, f"measuring fold {number}")
        for number, (draft, test) in enumerate(zip(drafts, held_out, strict=True), 1)
    ]
    tuning = [ThresholdCurves.join(_others(curves, number)) for number in range(len(folds))]
    tuned = [tune(others, config.rules) for others in tuning]
    compared = [spread_by_class(test, config.parity_strips) for test in held_out]
    comparisons = [
        draft.compare(some, points["inspection"])
        for draft, some, points in zip(drafts, compared, tuned, strict=True)
    ]
    Comparison.join(comparisons).check()  # together, so that all folds and the model get one arithmetic
    pooled: dict[str, list[Sequence[Overlap]]] = {}
    for number, (draft, test, points, others) in enumerate(zip(drafts, held_out, tuned, tuning, strict=True)):
        overlaps = dict(
            zip(
                points,
                measure_overlaps_at(draft.session, test, draft.tile, list(points.values())),
                strict=True,
            )
        )
        profiles = TunedProfiles(
            points=points,
            scores={name: class_scores(found, class_ids) for name, found in overlaps.items()},
            review_bands=review_bands(others.probability, others.true > 0),
            tuned_on=f"{len(others.names)} strips of the other folds, each by the model of its own fold",
            measured_on=f"the {len(test)} strips of fold {number + 1}",
        )
        draft.finish(profiles, comparisons[number], compared[number], gated=config.gate)
        for name, found in overlaps.items():
            pooled.setdefault(name, []).extend(found)
    count = sum(len(test) for test in held_out)
    calibration = fit_temperature(*_join(logits))
    train = _training_strips(whole)
    draft = _draft(whole, calibration, train, folder / MODEL, config.precision, config, int8_problem)
    pooled_curves = ThresholdCurves.join(curves)
    profiles = TunedProfiles(
        points=tune(pooled_curves, config.rules),
        scores={name: class_scores(found, class_ids) for name, found in pooled.items()},
        review_bands=review_bands(pooled_curves.probability, pooled_curves.true > 0),
        tuned_on=f"{count} strips, each by the model of the fold that did not train on it",
        measured_on=f"{count} strips, out of fold: {len(folds)} models of the same recipe, each on strips "
        "that neither trained it nor tuned its thresholds",
    )
    some = spread_by_class(train, config.parity_strips)
    comparison = draft.compare(some, profiles.points["inspection"])
    comparison.check()
    if config.gpu:
        _write_gpu_file(whole, calibration, profiles, some, folder, config)
    return draft.finish(profiles, comparison, some, gated=config.gate)


def _write_gpu_file(
    state: Checkpoint,
    calibration: Calibration,
    profiles: TunedProfiles,
    compared: Sequence[LabelledStrip],
    folder: Path,
    config: ExportConfig,
) -> None:
    """Write the same network for GPUs, with the thresholds and scores of the file for CPUs.

    A network that does not bear float16 gets no such file: a GPU then runs the file for CPUs.
    """
    draft = _draft(state, calibration, _training_strips(state), folder / GPU_MODEL, "fp16", config)
    comparison = draft.compare(compared, profiles.points["inspection"])
    try:
        comparison.check()
    except PrecisionLossError as error:
        print(f"\n{GPU_MODEL} is left out: {error}\n")
        return
    draft.finish(
        profiles, comparison, compared, gated=False
    )  # a batch would wait for its slowest strip anyway


def _draft(
    state: Checkpoint,
    calibration: Calibration,
    train: Sequence[LabelledStrip],
    path: Path,
    arithmetic: Arithmetic,
    config: ExportConfig,
    int8_problem: str = "",
) -> ModelDraft:
    classes = _named(state, config.class_names)
    identity = ModelIdentity(config.name, config.version, classes, config.notice, int8_problem)
    return ModelDraft(state, calibration, identity, train, path, arithmetic, soft_gate=config.soft_gate)


def _class_logits(state: Checkpoint, strips: Sequence[LabelledStrip]) -> tuple[Logits, Logits]:
    return compute_class_logits(restore_network(state), strips, state.tile, len(state.classes))


def _training_strips(state: Checkpoint) -> list[LabelledStrip]:
    """Return the strips that a checkpoint was trained on."""
    return select_strips(list_strips(state.config), state.split.train)


def _with_pixels(states: Sequence[Checkpoint], strips: Sequence[LabelledStrip]) -> list[Checkpoint]:
    """Return checkpoints whose splits tell strips by their pixels, too."""
    answer = []
    for state, split in zip(states, with_pixels([state.split for state in states], strips), strict=True):
        ancestors = tuple(sorted(frozenset(state.seen) - split_ids(split).train))
        answer.append(replace(state, split=split.model_copy(update={"ancestors": ancestors})))
    return answer


def _others(parts: Sequence[Part], number: int) -> list[Part]:
    return [part for index, part in enumerate(parts) if index != number]


def _join(parts: Sequence[tuple[Logits, Logits]]) -> tuple[Logits, Logits]:
    return np.concatenate([logits for logits, _ in parts]), np.concatenate([truth for _, truth in parts])
