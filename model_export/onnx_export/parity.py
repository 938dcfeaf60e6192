"""Comparison of a model file with its network in torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile
from model_export.errors import ParityError, PrecisionLossError
from model_export.evaluation.frames import predict_image
from model_export.evaluation.overlaps import measure_overlaps
from model_export.evaluation.torch_session import SupportsInfer
from service.model.metadata import OperatingPoint, Parity
from service.model.postprocess import byte_threshold

Arithmetic = Literal["fp32", "half weights", "fp16", "int8"]


class Tolerance(NamedTuple):
    """Largest allowed differences between a file and its network."""

    class_probability: float
    """In the mean over strips, of the class that differs most."""
    mask_byte: int
    """Of 255, in any pixel; 255 does not limit single pixels."""
    pixels: float
    """Share of pixels on the other side of the thresholds."""
    dice: float
    """Loss of Dice on positives, in the mean over strips and classes, beyond what chance explains."""


TOLERANCE: dict[Arithmetic, Tolerance] = {
    "fp32": Tolerance(1e-3, 1, 1e-3, 0.005),
    "half weights": Tolerance(1e-2, 255, 1e-3, 0.005),
    "fp16": Tolerance(2e-2, 255, 1e-2, 0.005),
    "int8": Tolerance(0.1, 255, 1e-2, 0.01),
}

_ONE_SIDED = 1.645
"""Standard errors: a loss within the tolerance is taken for a larger one in at most 5 % of comparisons."""


@dataclass(frozen=True)
class StripDifference:
    """Outputs of the network and of the file for one strip; arrays ``[classes]``, the network's first."""

    name: str
    class_ids: tuple[int, ...]
    classes: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    """Class probabilities."""
    dice: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    """At the operating point; nan where the strip lacks the class."""
    mask_byte: int
    """Largest difference of a pixel, of 255."""
    equal_pixels: float
    """Share on the same side of the thresholds."""

    @property
    def class_probability(self) -> float:
        """Largest difference of a class's probability."""
        return float(np.abs(self.classes[1] - self.classes[0]).max())

    @property
    def dice_loss(self) -> npt.NDArray[np.float64]:
        """Loss of Dice by the file; nan where the strip lacks the class."""
        return self.dice[0] - self.dice[1]

    def __str__(self) -> str:
        """Say by what the strip differs."""
        index = int(np.abs(self.classes[1] - self.classes[0]).argmax())
        expected, actual = self.classes[0][index], self.classes[1][index]
        kind = self.class_ids[index]
        text = f"{self.name}: class {kind} has probability {actual:.3f} instead of {expected:.3f}"
        if not np.isnan(self.dice_loss).all():
            index = int(np.nanargmax(np.abs(self.dice_loss)))
            before, after = self.dice[0][index], self.dice[1][index]
            text += f", class {self.class_ids[index]} Dice {after:.3f} instead of {before:.3f}"
        return text


@dataclass(frozen=True)
class Comparison:
    """Differences between files of one arithmetic and their networks in torch, strip by strip."""

    arithmetic: Arithmetic
    strips: tuple[StripDifference, ...]

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Pool the strips of several files, as of the folds of a cross-validation."""
        return cls(parts[0].arithmetic, tuple(strip for part in parts for strip in part.strips))

    def check(self) -> None:
        """Check the differences against ``TOLERANCE``.

        A strip near a threshold may fall to its other side by rounding, so no single strip decides:
        differences count in the mean, and the loss of Dice by the lower end of its one-sided 95 % interval.

        Raises:
            ParityError: if a float32 file differs: the export is wrong.
            PrecisionLossError: if a file of another arithmetic differs: the model does not bear it.
        """
        allowed = TOLERANCE[self.arithmetic]
        classes = float(np.mean([strip.class_probability for strip in self.strips]))
        byte = max(strip.mask_byte for strip in self.strips)
        pixels = float(np.mean([strip.equal_pixels for strip in self.strips]))
        loss, error = self.dice_loss()
        # Written so that a NaN fails too.
        if (
            classes <= allowed.class_probability
            and byte <= allowed.mask_byte
            and pixels >= 1 - allowed.pixels
            and loss - _ONE_SIDED * error <= allowed.dice
        ):
            return
        kind = ParityError if self.arithmetic == "fp32" else PrecisionLossError
        raise kind(
            f"the exported {self.arithmetic} graph differs from torch on {len(self.strips)} strips: class "
            f"probabilities by {classes:.4f} in the mean (expected {allowed.class_probability:g} at most), "
            f"mask bytes by up to {byte} of 255 ({allowed.mask_byte}), {pixels:.4%} of the pixels agree "
            f"({1 - allowed.pixels:.1%}), Dice on positives falls by {loss:.4f}, standard error {error:.4f} "
            f"({allowed.dice:g}). Most different: {self.worst()}"
        )

    def dice_loss(self) -> tuple[float, float]:
        """Return the mean loss of Dice on positives and its standard error, unknown of one strip."""
        losses = np.concatenate([strip.dice_loss for strip in self.strips])
        losses = losses[~np.isnan(losses)]
        if losses.size < 2:
            return float(losses.sum()), np.inf
        return float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(losses.size))

    def worst(self, count: int = 3) -> str:
        """Name the strips that differ most, and by what."""

        def size(strip: StripDifference) -> float:
            return max(strip.class_probability, float(np.nanmax([0.0, *np.abs(strip.dice_loss)])))

        return "; ".join(str(strip) for strip in sorted(self.strips, key=size, reverse=True)[:count])

    def parity(self) -> Parity:
        """Return what the metadata say of the comparison."""
        losses = np.stack([strip.dice_loss for strip in self.strips])
        held = losses[:, ~np.isnan(losses).all(axis=0)]
        return Parity(
            strips=len(self.strips),
            max_class_probability_difference=max(strip.class_probability for strip in self.strips),
            max_mask_byte_difference=max(strip.mask_byte for strip in self.strips),
            pixel_agreement=float(np.mean([strip.equal_pixels for strip in self.strips])),
            max_dice_difference=float(np.abs(np.nanmean(held, axis=0)).max(initial=0.0)),
        )


def compare_with_torch(
    reference: SupportsInfer,
    session: SupportsInfer,
    strips: Iterable[LabelledStrip],
    tile: Tile,
    point: OperatingPoint,
    class_ids: tuple[int, ...],
    arithmetic: Arithmetic = "fp32",
) -> Comparison:
    """Compare a file with torch in float32, strip by strip, at an operating point."""
    levels = np.array([byte_threshold(threshold) for threshold in point.threshold]).reshape(-1, 1, 1)
    found = []
    for strip in tqdm(strips, "comparing with torch", unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        answers = [predict_image(one, image, tile, strip.name) for one in (reference, session)]
        expected, actual = (answer.whole() for answer in answers)
        first, second = (
            np.array([one.dice if one.true else np.nan for one in measure_overlaps(answer, truth, point)])
            for answer in answers
        )
        found.append(
            StripDifference(
                name=strip.name,
                class_ids=class_ids,
                classes=(expected.classes, actual.classes),
                dice=(first, second),
                mask_byte=int(np.abs(actual.masks.astype(np.int16) - expected.masks).max()),
                equal_pixels=float(np.mean((actual.masks >= levels) == (expected.masks >= levels))),
            )
        )
    return Comparison(arithmetic, tuple(found))
