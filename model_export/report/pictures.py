"""Pictures of example strips: the choice of examples, and truth above prediction."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.report.held_out import HeldOutResults, StripResult
from service.geometry import CLASS_COUNT, ColumnMask
from service.masks.overlay import Layer, class_caption, draw_overlay

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


def labelled_picture(strip: LabelledStrip, names: Sequence[str]) -> bytes:
    """Draw a strip with its true masks; return a PNG."""
    image, truth = strip.load()
    layers = [
        Layer(class_id - 1, class_caption(class_id, names[class_id - 1]), mask)
        for class_id, mask in _column_masks(truth).items()
    ]
    return _png([_narrow(draw_overlay(image, layers))])


def compared_picture(result: StripResult, names: Sequence[str]) -> bytes:
    """Draw a strip with its true masks above the same strip with its predicted masks; return a PNG."""
    truth = [
        Layer(class_id - 1, f"truth: {class_caption(class_id, names[class_id - 1])}", mask)
        for class_id, mask in _column_masks(result.truth).items()
    ]
    predicted = [
        Layer(
            position,
            f"prediction: {class_caption(one.class_id, names[position])}, probability {one.probability:.2f}",
            one.mask,
        )
        for position, one in enumerate(result.predicted)
        if one.mask is not None
    ]
    overlays = (draw_overlay(result.image, truth), draw_overlay(result.image, predicted))
    return _png([_narrow(overlay) for overlay in overlays])


def _column_masks(masks: Masks) -> dict[int, ColumnMask]:
    """Return the masks that are not empty, column-major, by class id."""
    return {index + 1: masks[index].T for index in range(CLASS_COUNT) if masks[index].any()}


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
