"""``report``: a page with the evidence for a model."""

from dataclasses import dataclass
from pathlib import Path

from model_export.data.options import BitsOption
from model_export.errors import DataError
from model_export.evaluation.mill import ClassBalance, choose_balance, describe_thousand
from model_export.metrics import wilson_interval
from model_export.report import sections
from model_export.report.held_out import HeldOutResults, evaluate_held_out
from model_export.report.page import Page, write_page
from model_export.report.scores import score_rows
from service.model.metadata import ModelMetadata


@dataclass(frozen=True)
class ReportConfig:
    """Write an HTML page (and its pictures as PNG) about the training data and the predictions of a model."""

    data: Path | None = None
    """Folder in Kaggle's layout. Strips of the training are predicted by the model of the fold that held them
    out, if the model has folds, and left out otherwise."""
    drawn: int = 0
    """Report on this many drawn strips, which no training uses (instead of --data)."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """An ONNX file or a folder <name>/<version>/model.onnx."""
    out: Path = Path("runs/report")
    """Folder for report.html and the pictures."""
    training: Path | None = None
    """Folder of train or cross-validate, whose metrics.csv give the training curves."""
    profile: str = "inspection"
    """The operating point to report on."""
    balance: Path | None = None
    """Table of the mill's balance of classes (columns Classes,Strips); default: balance.csv in --data, if it
    lies there, else the balance of the strips that are shown."""
    clean_share: float | None = None
    """Share of clean strips at the mill, instead of --balance."""
    skip_bad: bool = False
    """Leave out, and print, images that are missing, unreadable or of other bits, instead of stopping."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16."""


def report(config: ReportConfig) -> Path:
    """Write the page and return its path.

    Raises:
        DataError: if there are no strips to report on, or the model lacks the profile.
    """
    metrics = _find_metrics(config.training) if config.training is not None else []
    results = evaluate_held_out(
        config.model,
        config.profile,
        data=config.data,
        drawn=config.drawn,
        bits=config.bits,
        skip_bad=config.skip_bad,
    )
    metadata = results.metadata
    balance = choose_balance(
        results.strips,
        metadata.class_ids,
        data=config.data,
        file=config.balance,
        clean_share=config.clean_share,
    )
    classes = metadata.classes
    page = Page(
        title=f"{metadata.name} {metadata.version}: training data and predictions",
        facts=_facts(results, metadata, balance),
        rows=score_rows(results.overlaps, classes),
        sections=[
            sections.data_section(results, classes, balance),
            *([sections.training_section(metrics)] if metrics else []),
            sections.labels_section(results, classes),
            sections.thresholds_section(results, classes),
            sections.trust_section(results, classes),
            sections.label_errors_section(results, classes),
            sections.maps_section(results, classes),
            *sections.gallery_sections(results, classes),
        ],
    )
    path = write_page(page, config.out)
    count = sum(len(section.pictures) for section in page.sections)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and its {count} pictures")
    return path


def _find_metrics(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("**/metrics.csv"))
    if not paths:
        raise DataError(f"{folder} holds no metrics.csv; name a folder that train or cross-validate wrote")
    return paths


def _facts(results: HeldOutResults, metadata: ModelMetadata, balance: ClassBalance) -> dict[str, str]:
    profile = results.point(0)
    return {
        "Shown": results.description,
        "Profile": f"{profile.name}: {profile.description}",
        "Trained on": metadata.provenance.training_data,
        "Clean strips": _clean(results),
        "At the mill": describe_thousand(results.strips, results.overlaps, balance),
        "Exported": metadata.provenance.created,
    }


def _clean(results: HeldOutResults) -> str:
    """Say how many clean strips are reported, as a line would see it."""
    clean = ~results.truth.any(axis=1)
    count = int(clean.sum())
    if not count:
        return "none here"
    share = float(results.reported[clean].any(axis=1).mean())
    low, high = wilson_interval(share, count)
    return (
        f"of 1,000 clean strips {1000 * share:.0f} are reported ({1000 * low:.0f} to {1000 * high:.0f}; "
        f"measured on {count})"
    )
