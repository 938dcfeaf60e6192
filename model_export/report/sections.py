"""Sections of the page, in their order."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_export.data.classes import Classes
from model_export.data.labelled_strip import CLEAN, LabelledStrip
from model_export.evaluation.mill import ClassBalance
from model_export.report import charts, pictures
from model_export.report.captions import numbered
from model_export.report.held_out import HeldOutResults
from model_export.report.label_errors import suspect_labels
from model_export.report.page import Picture, Section, chart_picture

_SUSPECTS = 8
"""Labels to show."""


def data_section(results: HeldOutResults, classes: Classes, balance: ClassBalance) -> Section:
    """Show the distribution, size and position of the defects."""
    total = np.zeros((len(classes), *charts.CELLS))
    for strip in tqdm(results.strips, "positions", unit="strip", dynamic_ncols=True):
        total += charts.cell_shares(strip.load()[1])
    shares = total / np.maximum(results.truth.sum(axis=0), 1)[:, None, None]
    return Section(
        "Data",
        "The defects, their size and their position on the strip. A class with few strips is learned worse and "
        "its scores are less certain. In the histograms of sizes, the dashed line is the smallest area that is "
        "reported; smaller defects cannot be found.",
        [
            chart_picture(
                "classes",
                "Strips per combination of classes, with their number"
                + (f"; grey: the share at {balance.source}." if balance.is_known else "."),
                charts.class_distribution(results.strips, classes, balance),
            ),
            chart_picture(
                "areas",
                "Size of the defects.",
                charts.mask_areas(results.curves.true, results.point(0).min_area, classes),
            ),
            chart_picture(
                "places",
                "Position of the defects: share of the strips with the class that show it there.",
                charts.mask_positions(shares, classes),
            ),
        ],
    )


def training_section(metrics: Sequence[Path]) -> Section:
    """Show the curves of the trainings."""
    return Section(
        "Training",
        "A good training ends flat: the loss no longer falls and the score no longer rises. There is a line per "
        "training, one for each fold and one for all strips; the training on all strips has no held-out strips "
        "and therefore no score.",
        [chart_picture("training", "Loss and score over the epochs.", charts.training_curves(metrics))],
    )


def labels_section(results: HeldOutResults, classes: Classes) -> Section:
    """Show labelled strips of every class."""
    shown: list[Picture] = []
    for kind, title in [(CLEAN, "clean"), *numbered(classes)]:
        for number, strip in enumerate(_spread_out(results.strips, kind, 2), 1):
            shown.append(
                Picture(
                    f"example-{kind + 1}-{number}",
                    f"{title} ({strip.name})",
                    pictures.labelled_picture(strip, classes),
                )
            )
    return Section(
        "Labelled strips",
        "Strips with the labelled outlines that the model learns from. Outlines are coarse: two people would not "
        "draw the same ones, so no model reaches a Dice of 1.",
        shown,
    )


def _spread_out(strips: Sequence[LabelledStrip], kind: int, count: int) -> Iterator[LabelledStrip]:
    """Choose strips of a class, or clean ones, evenly over the list, with no other class if there are any."""
    alone = [strip for strip in strips if strip.classes == (frozenset() if kind == CLEAN else {kind})]
    candidates = alone or [strip for strip in strips if kind in strip.classes]
    for number in range(min(count, len(candidates))):
        yield candidates[number * len(candidates) // count]


def thresholds_section(results: HeldOutResults, classes: Classes) -> Section:
    """Show scores over the thresholds."""
    return Section(
        "Thresholds",
        "A pixel belongs to a defect if its probability reaches the pixel threshold; a class is reported if its "
        "probability reaches the class threshold and its mask is large enough. Marks are the thresholds in use, "
        "one per fold, each chosen on other strips than those it is applied to. Where the curve is flat around the "
        "marks, the exact threshold matters little.",
        [
            chart_picture(
                "pixel-thresholds",
                "Dice over the pixel threshold.",
                charts.threshold_curves(results, classes),
            ),
            chart_picture(
                "class-thresholds",
                "Found, found in the right place, and false alarms over the class threshold.",
                charts.gate_curves(results, classes),
            ),
            chart_picture(
                "dice-by-strip",
                "Dice of every strip with the class; pale: reported, but in the wrong place.",
                charts.dice_by_strip(results, classes),
            ),
        ],
    )


def trust_section(results: HeldOutResults, classes: Classes) -> Section:
    """Show calibration, confusion and the gate."""
    shown = [
        chart_picture(
            "reliability",
            "Left: on the line, 8 of 10 strips with a probability of 0.8 hold the class (bars: 95 % intervals). "
            "Right: distribution of the predicted probabilities.",
            charts.reliability(results, classes),
        ),
        chart_picture(
            "confusion", "Classes reported on strips with each class.", charts.confusion(results, classes)
        ),
    ]
    defective = results.truth.any(axis=1)
    if defective.any() and not defective.all():
        caption = (
            "Share of clean strips that need no second look, by the share of defective strips that pass on."
        )
        shown.append(chart_picture("gate", caption, charts.clean_gate(results)))
    return Section(
        "Trust",
        "Calibration of the probabilities, confusion between classes, and separation of clean from defective "
        "strips.",
        shown,
    )


def label_errors_section(results: HeldOutResults, classes: Classes) -> Section:
    """Show the strips whose labels the model contradicts most surely."""
    shown = [
        Picture(
            f"label-{number}",
            f"{number}. {one.reason} ({results.strips[one.row].name})",
            pictures.compared_picture(results.rerun(one.row), classes),
        )
        for number, one in enumerate(suspect_labels(results, classes, _SUSPECTS), 1)
    ]
    return Section(
        "Labels to look at again",
        "Labels that a model contradicts that was not trained on them, the surest contradiction first: truth "
        "above, prediction below. Some are errors of the model, some of the labels. Wrong labels in the training "
        "data teach the model errors, wrong labels here make its scores look worse than it is."
        if shown
        else "The model contradicts no label.",
        shown,
    )


def maps_section(results: HeldOutResults, classes: Classes) -> Section:
    """Show the pixel probabilities of a typical strip of each class."""
    shown = []
    for index, name in numbered(classes):
        for example in pictures.single_class_examples(results, index):
            if not example.reason.startswith("typical"):
                continue
            result = results.rerun(example.row)
            probability = result.probabilities.classes
            titles = {
                f"{title}: probability on the strip {probability[other]:.2f}": other
                for other, title in _likeliest(classes, probability, index)
            }
            figure = charts.probability_maps(result.image, result.probabilities.masks, titles)
            caption = f"A strip with {name} ({results.strips[example.row].name})."
            shown.append(chart_picture(f"map-{index + 1}", caption, figure))
    return Section(
        "Probability maps",
        "The model's pixel probabilities, before any threshold, on a typical strip of each class.",
        shown,
    )


_MAPS = 4
"""Probability maps of a strip."""


def _likeliest(classes: Classes, probability: npt.NDArray[np.float32], shown: int) -> list[tuple[int, str]]:
    """Return position and caption of a few classes, in order: one that is shown, and the likeliest others."""
    order = sorted(range(len(classes)), key=lambda one: (one != shown, -float(probability[one])))
    kept = set(order[:_MAPS])
    return [(position, title) for position, title in numbered(classes) if position in kept]


def gallery_sections(results: HeldOutResults, classes: Classes) -> Iterator[Section]:
    """Show the best, typical and worst strips of each class, of several classes and without any."""
    for (index, title), kind in zip(numbered(classes), classes, strict=True):
        yield _gallery(
            title,
            f"Strips with {kind.name} only: truth above, prediction below.",
            f"class-{index + 1}",
            results,
            pictures.single_class_examples(results, index),
            classes,
        )
    yield _gallery(
        "Several classes",
        "Strips with more than one class: truth above, prediction below.",
        "several",
        results,
        pictures.multi_class_examples(results),
        classes,
    )
    yield _gallery(
        "Clean",
        "Strips without a defect; every outline in the lower picture is a false alarm.",
        "clean",
        results,
        pictures.clean_examples(results),
        classes,
    )


def _gallery(
    title: str,
    text: str,
    prefix: str,
    results: HeldOutResults,
    examples: Iterator[pictures.Example],
    classes: Classes,
) -> Section:
    shown = []
    for number, example in enumerate(examples, 1):
        result = results.rerun(example.row)
        clean = "" if any(one.present for one in result.predicted) else ", nothing is reported"
        caption = f"{example.reason}{clean} ({results.strips[example.row].name})"
        shown.append(Picture(f"{prefix}-{number}", caption, pictures.compared_picture(result, classes)))
    return Section(title, text if shown else "There are no such strips here.", shown)
