"""Pictures of example strips: the choice of examples, and truth above prediction."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_export.data.classes import Classes
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.report.captions import numbered
from model_export.report.held_out import HeldOutResults, StripResult
from service.masks.overlay import Layer, draw_overlay

_WIDTH = 1200
"""Pixels of a picture on the page."""


@dataclass(frozen=True)
class Example:
    """A strip to show and the reason for its choice."""

    row: int
    """Of the results."""
    reason: str


def single_class_examples(results: HeldOutResults, index: int) -> Iterator[Example]:
    """Choose the best, the typical and the worst of the strips that hold one class only."""
    alone = results.truth.sum(axis=1) == 1
    rows = np.flatnonzero(alone & results.truth[:, index])
    yield from _spread(rows, results.dice[rows, index])


def multi_class_examples(results: HeldOutResults) -> Iterator[Example]:
    """Choose the best, the typical and the worst of the strips that hold several classes."""
    rows = np.flatnonzero(results.truth.sum(axis=1) > 1)
    yield from _spread(rows, np.nanmean(results.dice[rows], axis=1) if rows.size else np.empty(0))


def clean_examples(results: HeldOutResults) -> Iterator[Example]:
    """Choose the clean strips with the lowest, the median and the highest class probability."""
    rows = np.flatnonzero(~results.truth.any(axis=1))
    highest = results.curves.probability[rows].max(axis=1)
    for example, name in zip(
        _spread(rows, -highest), ("quietest", "typical", "most suspected"), strict=False
    ):
        probability = results.curves.probability[example.row].max()
        yield Example(example.row, f"{name}: highest class probability {probability:.2f}")


def _spread(
    rows: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]], scores: object
) -> Iterator[Example]:
    """Choose the highest, the middle and the lowest score, each strip once."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ranks = {"best": 0, "typical": len(order) // 2, "worst": len(order) - 1}
    shown: set[int] = set()
    for name, rank in ranks.items():
        if 0 <= rank < len(order) and int(order[rank]) not in shown:
            shown.add(int(order[rank]))
            yield Example(int(rows[int(order[rank])]), f"{name}: Dice {values[order[rank]]:.2f}")


def labelled_picture(strip: LabelledStrip, classes: Classes) -> bytes:
    """Draw a strip with its true masks; return a PNG."""
    image, truth = strip.load()
    return _png([_narrow(draw_overlay(image, _layers(truth, classes)))])


def compared_picture(result: StripResult, classes: Classes) -> bytes:
    """Draw a strip with its true masks above the same strip with its predicted masks; return a PNG."""
    truth = _layers(result.truth, classes, "truth: ")
    predicted = [
        Layer(position, f"prediction: {title}, probability {one.probability:.2f}", one.mask)
        for (position, title), one in zip(numbered(classes), result.predicted, strict=True)
        if one.mask is not None
    ]
    overlays = (draw_overlay(result.image, truth), draw_overlay(result.image, predicted))
    return _png([_narrow(overlay) for overlay in overlays])


def _layers(masks: Masks, classes: Classes, prefix: str = "") -> list[Layer]:
    """Return the masks that are not empty with their captions."""
    return [
        Layer(position, prefix + title, masks[position].T)
        for position, title in numbered(classes)
        if masks[position].any()
    ]


def _narrow(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png)) as image:
        size = (_WIDTH, round(image.height * _WIDTH / image.width))
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _png(parts: Sequence[Image.Image]) -> bytes:
    """Stack images of one width; return a PNG."""
    canvas = Image.new("RGB", (_WIDTH, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
