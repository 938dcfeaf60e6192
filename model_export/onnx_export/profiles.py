"""The profiles of a model file: operating points with their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.model.metadata import ClassFractions, ClassScore, OperatingPoint, Profile, ReviewBands

_DESCRIPTIONS = {
    "inspection": "reports a class where it is likely enough to act on; keeps its recall, on strips to come, "
    "where that can be had; then Dice on positives minus the price of false alarms",
    "kaggle": "maximises Kaggle's mean Dice, which pays for missing rare defects",
}
TUNED = tuple(_DESCRIPTIONS)
"""Names of the profiles that are chosen on strips; others were set by a person."""


@dataclass(frozen=True)
class TunedProfiles:
    """Operating points with their scores, and the strips of both."""

    points: Mapping[str, OperatingPoint]
    """By name of the profile."""
    scores: Mapping[str, Sequence[ClassScore]]
    """By name of the profile."""
    review_bands: ReviewBands
    """Measured on the strips that chose the points."""
    tuned_on: str
    """In words, for the metadata."""
    measured_on: str
    """In words, for the metadata."""

    def describe(self) -> tuple[Profile, ...]:
        """Return the profiles as the metadata have them."""
        return tuple(
            Profile(
                name=name,
                description=_DESCRIPTIONS.get(name, "set by a person on the page"),
                tuned_on=self.tuned_on if name in TUNED else "nothing",
                measured_on=self.measured_on,
                scores=tuple(self.scores[name]),
                **point.model_dump(),
            )
            for name, point in self.points.items()
        )

    def gate(self) -> ClassFractions:
        """Return the lowest class threshold of any profile, for each class."""
        thresholds = (point.class_threshold for point in self.points.values())
        return tuple(min(own) for own in zip(*thresholds, strict=True))
