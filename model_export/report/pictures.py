"""Strips to look at: which to show, and truth above answer."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_export.data.labelled_strip import LabelledStrip
from model_export.report.held_out import Judged, Looked
from service.geometry import CLASS_COUNT
from service.masks.overlay import draw_overlay

_WIDTH = 1200
"""Pixels of a picture on the page."""


@dataclass(frozen=True)
class Pick:
    """A strip to show, and why."""

    row: int
    why: str


def pick_single(judged: Judged, index: int) -> Iterator[Pick]:
    """Choose the best, the typical and the worst of the strips that hold one class only."""
    alone = judged.truth.sum(axis=1) == 1
    rows = np.flatnonzero(alone & judged.truth[:, index])
    yield from _spread(rows, judged.dice[rows, index])


def pick_several(judged: Judged) -> Iterator[Pick]:
    """Choose the best, the typical and the worst of the strips that hold several classes."""
    rows = np.flatnonzero(judged.truth.sum(axis=1) > 1)
    yield from _spread(rows, np.nanmean(judged.dice[rows], axis=1) if rows.size else np.empty(0))


def pick_clean(judged: Judged) -> Iterator[Pick]:
    """Choose the quietest, the typical and the most suspected of the clean strips."""
    rows = np.flatnonzero(~judged.truth.any(axis=1))
    suspicion = judged.curves.probability[rows].max(axis=1)
    for pick, name in zip(_spread(rows, -suspicion), ("quietest", "typical", "most suspected"), strict=False):
        yield Pick(
            pick.row, f"{name}: highest class probability {judged.curves.probability[pick.row].max():.2f}"
        )


def _spread(
    rows: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]], scores: object
) -> Iterator[Pick]:
    """Choose the highest, the middle and the lowest score, each strip once."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    places = {"best": 0, "typical": len(order) // 2, "worst": len(order) - 1}
    shown: set[int] = set()
    for name, place in places.items():
        if 0 <= place < len(order) and int(order[place]) not in shown:
            shown.add(int(order[place]))
            yield Pick(int(rows[int(order[place])]), f"{name}: Dice {values[order[place]]:.2f}")


def labelled_picture(strip: LabelledStrip, names: Sequence[str]) -> bytes:
    """Draw a strip with its truth; answer a PNG."""
    image, truth = strip.load()
    masks = {index + 1: truth[index].T for index in range(CLASS_COUNT) if truth[index].any()}
    captions = {class_id: f"{class_id} {names[class_id - 1]}" for class_id in masks}
    return _png([_narrow(draw_overlay(image, masks, captions))])


def compared_picture(looked: Looked, names: Sequence[str]) -> bytes:
    """Draw a strip with its truth, and below it the same with the answer; answer a PNG."""
    truth = {index + 1: looked.truth[index].T for index in range(CLASS_COUNT) if looked.truth[index].any()}
    answer = {one.class_id: one.mask for one in looked.found if one.mask is not None}
    told = {class_id: f"truth: {class_id} {names[class_id - 1]}" for class_id in truth}
    found = {
        one.class_id: f"answer: {one.class_id} {names[one.class_id - 1]}, probability {one.probability:.2f}"
        for one in looked.found
        if one.mask is not None
    }
    return _png([_narrow(draw_overlay(looked.image, *pair)) for pair in ((truth, told), (answer, found))])


def _narrow(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png)) as image:
        size = (_WIDTH, round(image.height * _WIDTH / image.width))
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _png(parts: Sequence[Image.Image]) -> bytes:
    canvas = Image.new("RGB", (_WIDTH, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
