"""``report``: a page with the evidence for a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.errors import DataError
from model_export.metrics import class_scores
from model_export.report import charts, pictures
from model_export.report.held_out import Judged, judge
from model_export.report.page import Page, Picture, Section, chart, write_page
from service.geometry import CLASS_COUNT
from service.model.metadata import ModelMetadata


@dataclass(frozen=True)
class ReportConfig:
    """Write one HTML page (and its pictures as PNG) that shows what a model learned from and how it answers."""

    data: Path | None = None
    """Folder in Kaggle's layout. Strips that trained the model are answered by the model of the fold that
    held them out, where the model has folds, and are left out elsewhere."""
    drawn: int = 0
    """Report on this many drawn strips, none of them ever trained on (instead of --data)."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    out: Path = Path("runs/report")
    """Folder for report.html and the pictures."""
    training: Path | None = None
    """Folder of train or cross-validate, whose metrics.csv show how the training went."""
    profile: str = "inspection"
    """The operating point to report on."""
    skip_bad: bool = False
    """Leave out (and name) images that are missing or of the wrong size, instead of stopping."""


def report(config: ReportConfig) -> Path:
    """Write the page and return its path."""
    metrics = _metrics(config.training) if config.training is not None else []
    judged = judge(
        config.model, config.profile, data=config.data, drawn=config.drawn, skip_bad=config.skip_bad
    )
    metadata = judged.sessions[0].metadata
    names = [kind.name for kind in metadata.classes]
    sections = [
        _data(judged, names),
        *([_training(metrics)] if metrics else []),
        _examples(judged, names),
        _thresholds(judged, names),
        _trust(judged, names),
        _maps(judged, names),
        *_galleries(judged, names),
    ]
    page = Page(
        title=f"{metadata.name} {metadata.version}: what it learned from and how it answers",
        facts=_facts(judged, metadata),
        names=names,
        scores=class_scores(judged.overlaps),
        sections=sections,
    )
    path = write_page(page, config.out)
    count = sum(len(section.pictures) for section in sections)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and its {count} pictures")
    return path


def _metrics(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("**/metrics.csv"))
    if not paths:
        raise DataError(f"{folder} holds no metrics.csv; name a folder that train or cross-validate wrote")
    return paths


def _facts(judged: Judged, metadata: ModelMetadata) -> dict[str, str]:
    profile = judged.point(0)
    return {
        "Shown": judged.description,
        "Profile": f"{profile.name}: {profile.description}",
        "Trained on": metadata.provenance.training_data,
        "Exported": metadata.provenance.created,
    }


def _data(judged: Judged, names: Sequence[str]) -> Section:
    total = np.zeros((CLASS_COUNT, 16, 100))
    for strip in tqdm(judged.strips, "places", unit="strip", dynamic_ncols=True):
        total += charts.count_places(strip.load()[1])
    places = total / np.maximum(judged.truth.sum(axis=0), 1)[:, None, None]
    return Section(
        "Data",
        "Which defects there are, how large they are and where on the strip they lie. A class with few strips "
        "is learned worse and judged less surely. In the sizes, the dashed line is the smallest area that is "
        "reported; what lies left of it cannot be found.",
        [
            chart(
                "classes",
                "Strips by the classes that they hold, with their count; grey: how often that is in production.",
                charts.class_distribution(judged.strips, names),
            ),
            chart(
                "areas",
                "Size of the defects.",
                charts.mask_areas(judged.curves.true, judged.point(0).min_area, names),
            ),
            chart(
                "places",
                "Place of the defects: share of the strips with the class that show it there.",
                charts.mask_places(places, names),
            ),
        ],
    )


def _training(metrics: Sequence[Path]) -> Section:
    return Section(
        "Training",
        "A training that went well ends flat: the loss has stopped falling and the score has stopped rising. "
        "A line per training, one for each fold and one on all strips; the one on all strips has none held "
        "out and therefore no score.",
        [chart("training", "Loss and score over the epochs.", charts.training_curves(metrics))],
    )


def _examples(judged: Judged, names: Sequence[str]) -> Section:
    shown: list[Picture] = []
    for kind in [0, *range(1, CLASS_COUNT + 1)]:
        for number, strip in enumerate(_spread_out(judged.strips, kind, 2), 1):
            title = f"{kind} {names[kind - 1]}" if kind else "clean"
            shown.append(
                Picture(
                    f"example-{kind}-{number}",
                    f"{title} ({strip.name})",
                    pictures.labelled_picture(strip, names),
                )
            )
    return Section(
        "Labelled strips",
        "Strips with the outlines that people drew, which is what the model learns from. Outlines are coarse: "
        "two people would not draw the same ones, so no model reaches a Dice of 1.",
        shown,
    )


def _spread_out(strips: Sequence[LabelledStrip], kind: int, count: int) -> Iterator[LabelledStrip]:
    """Choose strips of a kind (class id, 0 for clean) evenly over the list; of one class if there are any."""
    alone = [strip for strip in strips if strip.classes == ({kind} if kind else frozenset())]
    mine = alone or [strip for strip in strips if kind in strip.classes]
    for number in range(min(count, len(mine))):
        yield mine[number * len(mine) // count]


def _thresholds(judged: Judged, names: Sequence[str]) -> Section:
    return Section(
        "Thresholds",
        "A pixel belongs to a defect from the pixel threshold on; a class is reported from the class threshold "
        "on, if its mask is large enough. Marks are the thresholds in use, one for each fold, each chosen on "
        "other strips than those it is applied to. A flat curve around the marks means that their exact place "
        "matters little.",
        [
            chart(
                "pixel-thresholds",
                "Outlines over the pixel threshold.",
                charts.threshold_curves(judged, names),
            ),
            chart(
                "class-thresholds",
                "Found and false alarms over the class threshold.",
                charts.gate_curves(judged, names),
            ),
            chart(
                "dice-by-strip",
                "Dice of every single strip with the class: a mean hides the missed ones.",
                charts.dice_by_strip(judged, names),
            ),
        ],
    )


def _trust(judged: Judged, names: Sequence[str]) -> Section:
    shown = [
        chart(
            "reliability",
            "Left: on the line, a probability of 0.8 means that 8 of 10 such strips hold the class (bars: "
            "95 % intervals). Right: how often the model answers which probability.",
            charts.reliability(judged, names),
        ),
        chart("confusion", "What is reported on strips that hold a class.", charts.confusion(judged, names)),
    ]
    defective = judged.truth.any(axis=1)
    if defective.any() and not defective.all():
        caption = "How many clean strips need no second look, at each share of defective strips that pass on."
        shown.append(chart("gate", caption, charts.clean_gate(judged)))
    return Section(
        "Trust",
        "Whether probabilities mean what they say, which classes are taken for each other, and how surely clean "
        "strips are told from defective ones.",
        shown,
    )


def _maps(judged: Judged, names: Sequence[str]) -> Section:
    shown = []
    for index, name in enumerate(names):
        typical = [pick for pick in pictures.pick_single(judged, index) if pick.why.startswith("typical")]
        for pick in typical:
            looked = judged.look(pick.row)
            titles = {
                f"{number} {other}: probability on the strip {looked.answer.classes[number - 1]:.2f}": number
                - 1
                for number, other in enumerate(names, 1)
            }
            figure = charts.probability_maps(looked.image, looked.answer.masks, titles)
            caption = f"A strip with {index + 1} {name} ({judged.strips[pick.row].name})."
            shown.append(chart(f"map-{index + 1}", caption, figure))
    return Section(
        "Probability maps",
        "What the model sees before any threshold, class by class, on a typical strip of each class.",
        shown,
    )


def _galleries(judged: Judged, names: Sequence[str]) -> Iterator[Section]:
    for index, name in enumerate(names):
        yield _gallery(
            f"{index + 1} {name}",
            f"Strips that hold {name} only: truth above, answer below.",
            f"class-{index + 1}",
            judged,
            list(pictures.pick_single(judged, index)),
            names,
        )
    yield _gallery(
        "Several classes",
        "Strips that hold more than one class: truth above, answer below.",
        "several",
        judged,
        list(pictures.pick_several(judged)),
        names,
    )
    yield _gallery(
        "Clean",
        "Strips without a defect; whatever is outlined in the lower picture is a false alarm.",
        "clean",
        judged,
        list(pictures.pick_clean(judged)),
        names,
    )


def _gallery(
    title: str,
    text: str,
    prefix: str,
    judged: Judged,
    picks: Sequence[pictures.Pick],
    names: Sequence[str],
) -> Section:
    shown = []
    for number, pick in enumerate(picks, 1):
        looked = judged.look(pick.row)
        nothing = "" if any(one.present for one in looked.found) else ", nothing is reported"
        caption = f"{pick.why}{nothing} ({judged.strips[pick.row].name})"
        shown.append(Picture(f"{prefix}-{number}", caption, pictures.compared_picture(looked, names)))
    return Section(title, text if shown else "There are no such strips here.", shown)
