"""Charts of a report."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from model_export.data.classes import Classes
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.errors import DataError
from model_export.evaluation.calibrate import expected_calibration_error
from model_export.evaluation.mill import ClassBalance
from model_export.metrics import LOCATED, Overlap, rejection_at_recall
from model_export.report.captions import caption, colour, numbered
from model_export.report.held_out import HeldOutResults
from service.model.postprocess import byte_threshold

INK, FAINT = "#222b33", "#c3ccd4"
_LEAST_THRESHOLD = 0.002
"""Left end of the axis of class thresholds."""
CELLS = (16, 100)
"""Rows and columns of cells in the position maps."""
_IN_A_ROW = 4
"""Charts side by side."""


def class_distribution(strips: Sequence[LabelledStrip], classes: Classes, balance: ClassBalance) -> Figure:
    """Draw the share of strips per combination of classes, beside its share at the mill if that is known."""
    counts = Counter(strip.classes for strip in strips)
    kinds = sorted(counts, key=lambda kind: (len(kind), sorted(kind)))
    figure, (ax,) = _figure(1, height=3.2)
    place = np.arange(len(kinds))
    ours = [counts[kind] / len(strips) for kind in kinds]
    bars = ax.bar(
        place - 0.2 * balance.is_known,
        ours,
        0.4,
        color=[_kind_colour(kind) for kind in kinds],
        label="this data",
    )
    if balance.is_known:
        theirs = [balance.share(kind) for kind in kinds]
        ax.bar(place + 0.2, theirs, 0.4, color=FAINT, label=balance.source)
    ax.bar_label(bars, [str(counts[kind]) for kind in kinds], padding=2, color=INK)
    ax.set_xticks(place, [_kind_name(kind, classes) for kind in kinds])
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_ylabel("share of the strips")
    ax.legend(frameon=False)
    return figure


def mask_areas(areas: npt.NDArray[np.int64], least: Sequence[int], classes: Classes) -> Figure:
    """Draw histograms of areas (pixels per strip, ``[strips, classes]``) with the least that is reported."""
    figure, axes = _figure(len(classes), height=2.6)
    bins = np.logspace(2, max(3.0, np.log10(areas.max(initial=1))), 25)
    for (index, title), ax in zip(numbered(classes), axes, strict=True):
        mine = areas[:, index][areas[:, index] > 0]
        ax.hist(mine, bins=list(bins), color=colour(index))
        ax.axvline(max(least[index], 100), color=INK, linestyle="--", linewidth=1)
        ax.set_xscale("log")
        ax.set_title(f"{title}: {mine.size} strips")
        ax.set_xlabel("pixels of the class on a strip")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def mask_positions(shares: npt.NDArray[np.float64], classes: Classes) -> Figure:
    """Draw position maps: the share of strips with a class that show it in a cell, ``[classes, h, w]``.

    The axes are in per cent of a strip, since strips may differ in size.
    """
    figure, axes = _figure(len(classes), height=1.7, in_a_row=2)
    for (index, title), ax in zip(numbered(classes), axes, strict=True):
        picture = ax.imshow(shares[index], cmap="viridis", extent=(0, 100, 100, 0), vmin=0, aspect="auto")
        figure.colorbar(picture, ax=ax, format="{x:.0%}")
        ax.set_title(title)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter("{x:.0f} %")
    return figure


def cell_shares(masks: Masks) -> npt.NDArray[np.float64]:
    """Return the masked share of each of ``CELLS`` cells of a strip, ``[classes, 16, 100]``."""
    rows, columns = CELLS
    return np.stack(
        [
            np.asarray(
                Image.fromarray(mask.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX),
                dtype=np.float64,
            )
            for mask in masks
        ]
    )


def training_curves(paths: Sequence[Path]) -> Figure:
    """Draw loss and Dice on positives over epochs, a line per training.

    Raises:
        DataError: if a file is not a ``metrics.csv`` of ``train``.
    """
    figure, (losses, scores) = _figure(2, height=3.0)
    last = 1
    for number, path in enumerate(paths):
        line, name = f"C{number}", path.parent.name
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            epochs = [int(row["epoch"]) for row in rows]
            losses.plot(epochs, [float(row["loss"]) for row in rows], color=line, label=name)
            last = max([last, *epochs])
            marked = [
                (int(row["epoch"]), float(row["dice_positive"])) for row in rows if row["dice_positive"]
            ]
            held_out = [
                (int(row["epoch"]), float(row["validation_loss"]))
                for row in rows
                if row.get("validation_loss")  # earlier versions measured none
            ]
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} is not a metrics.csv of a training: {error!r}") from error
        if marked:
            scored, dice = zip(*marked, strict=True)
            scores.plot(scored, dice, marker="o", color=line, label=name)
        if held_out:
            losses.plot(*zip(*held_out, strict=True), "o", color=line)
    losses.set_ylabel("loss: training (line), validation (dots)")
    losses.set_yscale("log")
    scores.set_ylabel("Dice on positives, best thresholds")
    for ax in (losses, scores):
        ax.set_xlabel("epoch")
        ax.set_xlim(0, last + 1)
    if len(paths) > 1:
        losses.legend(frameon=False, ncols=2)
    return figure


def threshold_curves(results: HeldOutResults, classes: Classes) -> Figure:
    """Draw Dice on positives over the pixel threshold, with dots at the thresholds in use."""
    figure, axes = _figure(len(classes), height=2.8)
    levels = np.arange(1, 256) / 255
    for (index, title), ax in zip(numbered(classes), axes, strict=True):
        holds = results.truth[:, index]
        if holds.any():
            dice = results.curves.dice()[holds, index, 1:].mean(axis=0)
            ax.plot(levels, dice, color=colour(index))
            for point in results.points:
                level = byte_threshold(point.threshold[index])
                ax.plot(level / 255, dice[max(level, 1) - 1], "o", color=INK, markersize=4)
        ax.set_ylim(0, 1)
        _threshold_axis(ax, 1 / 255)
        ax.set_title(title)
        ax.set_xlabel("pixel threshold")
    axes[0].set_ylabel("Dice on positives, no gate")
    return figure


def gate_curves(results: HeldOutResults, classes: Classes) -> Figure:
    """Draw recall and false-alarm rate over the class threshold, at the other thresholds in use.

    Located recall counts masks in the right place only, as the scores do.
    """
    figure, axes = _figure(len(classes), height=2.8)
    steps = np.geomspace(_LEAST_THRESHOLD, 1, 121)
    for (index, title), ax in zip(numbered(classes), axes, strict=True):
        holds = results.truth[:, index]
        large, located = large_and_located(results, index)
        likely = results.curves.probability[:, index, None] >= steps
        if holds.any():
            found = (large[:, None] & likely)[holds].mean(axis=0)
            there = (located[:, None] & likely)[holds].mean(axis=0)
            ax.plot(steps, found, color=colour(index), label="recall")
            ax.plot(steps, there, color=colour(index), linestyle=":", label="located")
        if (~holds).any():
            alarms = (large[:, None] & likely)[~holds].mean(axis=0)
            ax.plot(steps, alarms, color=INK, linestyle="--", label="false alarms")
        for point in results.points:
            ax.axvline(
                max(point.class_threshold[index], _LEAST_THRESHOLD), color=FAINT, linewidth=1, zorder=0
            )
        ax.set_ylim(0, 1.02)
        _threshold_axis(ax, _LEAST_THRESHOLD)
        ax.set_title(title)
        ax.set_xlabel("class threshold")
    axes[0].set_ylabel("share of strips")
    axes[-1].legend(frameon=False)
    return figure


def large_and_located(
    results: HeldOutResults, index: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return whether a class's mask on each strip is large enough to report, and in the right place besides.

    Both are bool ``[strips]``, whatever the probability of the class.
    """
    large = np.zeros(len(results.strips), dtype=np.bool_)
    located = np.zeros_like(large)
    for row in range(len(results.strips)):
        point = results.point(row)
        level = byte_threshold(point.threshold[index])
        area = int(results.curves.predicted[row, index, level])
        overlap = Overlap(
            area, int(results.curves.true[row, index]), int(results.curves.intersection[row, index, level])
        )
        large[row] = area >= max(1, point.min_area[index])
        located[row] = large[row] and overlap.iou >= LOCATED
    return large, located


def reliability(results: HeldOutResults, classes: Classes) -> Figure:
    """Draw the frequency of classes over their probability, in ten bins of equal width."""
    figure, (ax, counts) = _figure(2, height=3.2)
    ax.plot([0, 1], [0, 1], color=FAINT)
    edges = np.linspace(0, 1, 11)
    pooled_p, pooled_t = results.curves.probability.reshape(-1), results.truth.reshape(-1)
    bins = np.clip(np.digitize(pooled_p, edges) - 1, 0, 9)
    filled = [number for number in range(10) if (bins == number).any()]
    means = [pooled_p[bins == number].mean() for number in filled]
    shares = [pooled_t[bins == number].mean() for number in filled]
    sizes = [int((bins == number).sum()) for number in filled]
    errors = [1.96 * np.sqrt(s * (1 - s) / n) for s, n in zip(shares, sizes, strict=True)]
    ax.errorbar(means, shares, yerr=errors, color=INK, marker="o", capsize=3)
    gap = expected_calibration_error(pooled_p, pooled_t)
    ax.set_title(f"mean gap (expected calibration error) {gap:.3f}")
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("share of strips that hold the class")
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    for index, title in numbered(classes):
        counts.hist(
            results.curves.probability[:, index],
            bins=list(edges),
            histtype="step",
            linewidth=2,
            color=colour(index),
            label=title,
        )
    counts.set_xlabel("predicted probability")
    counts.set_ylabel("strips")
    counts.legend(frameon=False)
    return figure


def clean_gate(results: HeldOutResults) -> Figure:
    """Draw what share of clean strips the gate rejects at each recall of defective ones."""
    figure, (ax,) = _figure(1, height=3.4, width=6)
    score, defective = results.curves.probability.max(axis=1), results.truth.any(axis=1)
    recalls = np.linspace(0.5, 1, 101)
    ax.plot(recalls, [rejection_at_recall(score, defective, recall)[1] for recall in recalls], color=INK)
    _, rejected = rejection_at_recall(score, defective, 0.98)
    ax.plot(0.98, rejected, "o", color=colour(2))
    ax.set_title(f"98 % of the defective pass: {rejected:.0%} of the clean rejected")
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("defective strips that pass the gate")
    ax.set_ylabel("clean strips rejected")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:.0%}")
    return figure


def confusion(results: HeldOutResults, classes: Classes) -> Figure:
    """Draw which classes, or none, are reported (columns) on strips with a class (rows)."""
    count = len(classes)
    figure, (ax,) = _figure(1, height=max(3.6, 0.6 * (count + 2)), width=max(7.5, 1.25 * (count + 2)))
    truth, reported = results.truth, results.reported
    rows = [*(truth[:, index] for index in range(count)), ~truth.any(axis=1)]
    columns = np.column_stack([reported, ~reported.any(axis=1)])
    table = np.array([columns[row].mean(axis=0) if row.any() else np.full(count + 1, np.nan) for row in rows])
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(rows):
        for x in range(count + 1):
            if row.any():
                text = f"{table[y, x]:.0%}\n{int(columns[row, x].sum())} of {int(row.sum())}"
                shade = "white" if table[y, x] > 0.6 else INK
                ax.text(x, y, text, ha="center", va="center", color=shade, fontsize=8)
    labels = [caption(kind) for kind in classes]
    ax.set_xticks(range(count + 1), [*labels, "nothing"])
    ax.set_yticks(range(count + 1), [*labels, "clean"])
    ax.set_xlabel("reported")
    ax.set_ylabel("the strip holds")
    return figure


def dice_by_strip(results: HeldOutResults, classes: Classes) -> Figure:
    """Draw the Dice of every strip with a class, largest first."""
    figure, axes = _figure(len(classes), height=2.6)
    for (index, caption_), ax in zip(numbered(classes), axes, strict=True):
        own = [strip[index] for strip in results.overlaps if strip[index].true]
        own.sort(key=lambda overlap: -overlap.dice)
        dice = np.array([overlap.dice for overlap in own])
        there = np.array([overlap.iou >= LOCATED for overlap in own], dtype=np.bool_)
        bars = ax.bar(np.arange(dice.size), dice, 0.9, color=colour(index))
        for bar, right in zip(bars, there, strict=True):
            bar.set_alpha(1.0 if right else 0.35)
        missed = sum(not overlap.predicted for overlap in own)
        elsewhere = len(own) - missed - int(there.sum())
        title = f"mean {dice.mean():.2f}, {missed} not reported, {elsewhere} elsewhere" if own else "none"
        ax.set_title(f"{caption_}\n{title}")
        ax.set_ylim(0, 1)
        ax.set_xlabel("strips")
    axes[0].set_ylabel("Dice")
    return figure


def probability_maps(
    image: npt.NDArray[np.uint8], masks: npt.NDArray[np.uint8], titles: Mapping[str, int]
) -> Figure:
    """Draw a strip above its pixel probabilities.

    Args:
        image: uint8 ``[height, width]``.
        masks: 255 x probability, uint8 ``[classes, width, height]``.
        titles: index of each class to show, by the title of its map.
    """
    height, width = image.shape
    inches = min(10 * height / width, 4.0)
    figure, axes = _figure(1 + len(titles), height=inches + 0.2, width=10, in_a_row=1)
    axes[0].imshow(image, cmap="gray", vmin=0, vmax=255)
    axes[0].set_title("strip")
    for ax, (title, index) in zip(axes[1:], titles.items(), strict=True):
        picture = ax.imshow(masks[index].T / 255, cmap="magma", vmin=0, vmax=1)
        ax.set_title(title)
    figure.colorbar(picture, ax=list(axes), fraction=0.02, label="pixel probability")
    for ax in axes:
        ax.set_axis_off()
    return figure


def _figure(
    count: int, *, height: float, width: float = 12, in_a_row: int = _IN_A_ROW
) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many charts; ``height`` is that of a row."""
    columns = min(count, in_a_row)
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).reshape(-1).tolist()
    axes = places[:count]
    for ax in places[count:]:
        ax.set_axis_off()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.title.set_fontsize(10)
        ax.tick_params(labelsize=8)
    return figure, axes


def _threshold_axis(ax: Axes, least: float) -> None:
    """Make the axis of thresholds logarithmic: those of rare classes lie far below 0.1."""
    ax.set_xscale("log")
    ax.set_xlim(least, 1)
    ax.xaxis.set_major_formatter("{x:g}")


def _kind_name(kind: frozenset[int], classes: Classes) -> str:
    return "\n+ ".join(caption(classes[position]) for position in sorted(kind)) or "clean"


def _kind_colour(kind: frozenset[int]) -> str:
    return colour(next(iter(kind))) if len(kind) == 1 else ("#8a97a3" if kind else "#5b6873")
