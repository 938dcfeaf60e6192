"""The verdict on a strip in words: ok, defect, suspect or not inspected, and the reason."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from service.model.metadata import ModelMetadata, OperatingPoint, ReviewBand, ReviewBands

if TYPE_CHECKING:  # the client's pictures have verdicts in words, without Shapely
    from service.model.postprocess import ClassMask

VerdictName = Literal["ok", "defect", "suspect", "not_inspected"]


class Verdict(NamedTuple):
    """A verdict and its reason, for people."""

    name: VerdictName
    reason: str

    @property
    def words(self) -> str:
        """The verdict and its reason as a line."""
        return verdict_line(self.name, self.reason)


def verdict_line(name: str, reason: str) -> str:
    """Return a verdict and its reason as a line for people."""
    return f"{name.replace('_', ' ').upper()}: {reason}"


def not_inspected(reason: str) -> Verdict:
    """Return the verdict on a strip of which nothing is known."""
    return Verdict("not_inspected", reason)


class Review(NamedTuple):
    """What a model says about its classes for a verdict."""

    class_ids: tuple[int, ...]
    names: tuple[str, ...]
    bands: ReviewBands | None
    """See ``ModelMetadata.review_bands``."""

    @classmethod
    def by(cls, metadata: ModelMetadata) -> Self:
        """Return the review of a model's answers."""
        names = tuple(kind.name for kind in metadata.classes)
        return cls(metadata.class_ids, names, metadata.review_bands)

    def bands_at(self, point: OperatingPoint) -> list[ReviewBand]:
        """Return the band of each class, widened to hold its class threshold."""
        thresholds = point.class_threshold
        bands = self.bands or [(threshold, threshold) for threshold in thresholds]
        return [
            (min(low, threshold), max(high, threshold))
            for (low, high), threshold in zip(bands, thresholds, strict=True)
        ]


def judge(classes: "Sequence[ClassMask]", review: Review, point: OperatingPoint) -> Verdict:
    """Judge a strip by its classes.

    A class that is present and reaches the upper edge of its review band makes a defect. Any other class that
    reaches the lower edge makes the strip suspect: its probability does not decide, or it has no mask.
    """
    defects: list[str] = []
    suspects: list[str] = []
    bands = review.bands_at(point)
    for found, name, (low, high), least in zip(classes, review.names, bands, point.min_area, strict=True):
        if found.probability < low:
            continue
        shown = f"{name} {_per_cent(found.probability)}"
        if found.probability < high:
            suspects.append(f"{shown}, which decides nothing from {_per_cent(low)} to {_per_cent(high)}")
        elif found.present:
            defects.append(f"{shown}, {found.area:,} px")
        else:
            suspects.append(f"{shown}, but its mask has fewer than {max(1, least):,} px")
    if defects:
        return Verdict("defect", "; ".join(defects))
    if suspects:
        return Verdict("suspect", "; ".join(suspects))
    likeliest = max(range(len(classes)), key=lambda index: classes[index].probability)
    probability = _per_cent(classes[likeliest].probability)
    return Verdict("ok", f"likeliest defect: {review.names[likeliest]} {probability}")


def _per_cent(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.1 else f"{probability:.1%}"
