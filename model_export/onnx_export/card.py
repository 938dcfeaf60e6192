"""The model card, written from the metadata of a model file."""

from collections.abc import Sequence
from pathlib import Path

from model_export.metrics import LOCATED, wilson_interval
from service.model.metadata import ClassScore, DefectClass, ModelMetadata


def write_card(metadata: ModelMetadata, path: Path) -> None:
    """Write the card as Markdown."""
    path.write_text(model_card(metadata))


def model_card(metadata: ModelMetadata) -> str:
    """Return the card as Markdown: training data, scores and provenance."""
    split = metadata.split
    provenance = metadata.provenance
    lines = [
        f"# {metadata.name}, version {metadata.version}",
        "",
        f"Made on {provenance.created} by `python -m model_export export`, which wrote this card from the "
        "metadata of `model.onnx`; `GET /model` returns the same data.",
        "",
        "## Trained on",
        "",
        f"{provenance.training_data}. Split: {split.strategy} (seed {split.seed}): {len(split.train)} strips "
        f"for training, {len(split.validation)} for validation, {len(split.test)} for the test.",
        "",
        *([provenance.notice, ""] if provenance.notice else []),
        "## Scores",
        "",
        "*Dice*: mean over all strips as Kaggle defines it (two empty masks count 1). *If empty*: the same score for "
        '"no defect anywhere". *Dice+*: mean over the strips with the class. '
        "*Recall*: share of strips with the class on which it is reported. *False alarms*: share of strips without "
        "the class on which it is reported. In brackets: 95 % intervals (Wilson). " + _choice(metadata),
    ]
    for profile in metadata.profiles:
        lines += [
            "",
            f"### Profile `{profile.name}`",
            "",
            f"{profile.description[:1].upper()}{profile.description[1:]}. Tuned on {profile.tuned_on}, "
            f"measured on {profile.measured_on}.",
            "",
            "| class | class threshold | pixel threshold | minimum area | strips with / without | Dice | if empty "
            "| Dice+ | recall | false alarms |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for index, (kind, score) in enumerate(zip(metadata.classes, profile.scores, strict=True)):
            cells = " | ".join(
                [
                    _number(score.dice_kaggle),
                    _number(score.dice_kaggle_all_empty),
                    _number(score.dice_positive),
                    _share(score.recall, score.strips_with),
                    _share(score.false_alarm_rate, score.strips_without),
                ]
            )
            lines.append(
                f"| {kind.id} {kind.name} | {profile.class_threshold[index]:g} | {profile.threshold[index]:g} "
                f"| {profile.min_area[index]} | {score.strips_with} / {score.strips_without} | {cells} |"
            )
        lines += _placement(metadata.classes, profile.scores)
    parity = metadata.parity
    lines += [
        "",
        "## Made with",
        "",
        f"Class probabilities are calibrated by one temperature, {metadata.calibration.temperature:.2f}, fitted on "
        f"{metadata.calibration.strips} {_calibrated_on(metadata)} strips: cross-entropy "
        f"{metadata.calibration.cross_entropy_before:.3f} before, {metadata.calibration.cross_entropy_after:.3f} after.",
        "",
        f"Compared with the network in torch on {parity.strips} strips: class probabilities within "
        f"{parity.max_class_probability_difference:.1e}, mask bytes within {parity.max_mask_byte_difference} of "
        f"255, {parity.pixel_agreement:.4%} of the pixels on the same side of the thresholds, Dice+ of each class "
        f"within {parity.max_dice_difference:.4f}.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | `{value}` |" for name, value in provenance.config.items()),
        *(f"| {name} | {value} |" for name, value in provenance.versions.items()),
        f"| training data, sha256 | `{provenance.training_data_sha256}` |",
        f"| code, sha256 | `{provenance.code_sha256}` |",
        "",
    ]
    return "\n".join(lines)


def _placement(classes: Sequence[DefectClass], scores: Sequence[ClassScore]) -> list[str]:
    """Return a table of masks in the right place and connected defects; files before it existed have none."""
    if all(score.located_recall is None for score in scores):
        return []
    return [
        "",
        f"*Located*: share of strips with the class whose mask is in the right place, an IoU of {LOCATED} or more. "
        "*Defects right*, *found*: shares of the connected defects reported, and of the true ones, that match one "
        "another.",
        "",
        "| class | IoU+ | located | defects right | defects found |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {kind.id} {kind.name} | {_number(score.iou)} | {_share(score.located_recall, score.strips_with)} "
            f"| {_number(score.instance_precision)} | {_number(score.instance_recall)} |"
            for kind, score in zip(classes, scores, strict=True)
        ),
    ]


def _calibrated_on(metadata: ModelMetadata) -> str:
    if "tuned" in metadata.provenance.config:
        return "tuning"
    return "validation" if metadata.split.validation else "out-of-fold"


def _choice(metadata: ModelMetadata) -> str:
    """Describe which strips chose checkpoint and thresholds."""
    if tuned := metadata.provenance.config.get("tuned"):
        return (
            "`python -m model_export tune` chose thresholds, review bands and limits of image health anew "
            f"({tuned}); the weights are those of that version. The thresholds below, which this model uses, were "
            "chosen on all of these strips; the scores are those of parts of them, each at thresholds chosen on "
            "the other parts."
        )
    if metadata.split.validation:
        return "The checkpoint was chosen by its Dice+ on the validation strips; nothing was chosen on the test strips."
    return (
        "All strips trained this model, so none is left to measure it. The scores are those of the fold models: the "
        "same recipe on one fold less, each at thresholds tuned on the other folds. The thresholds below, which this "
        "model uses, were tuned on all out-of-fold predictions. Every training used its last epoch: no checkpoint and "
        "no threshold was chosen on the strips of its own scores. Recipes and rules for thresholds may have been "
        "compared on these strips before; only new strips can correct for that."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None, count: int) -> str:
    if value is None:
        return "-"
    low, high = wilson_interval(value, count)
    return f"{value:.3f} ({low:.2f} to {high:.2f})"
