"""Chart of the results: throughput, and latency at a common rate, by server."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.latency import Latency
from bench.peer_servers import PeerLoad
from bench.results import Results

_OURS, _OTHER, _CEILING = "#1f6f8b", "#a9b4bc", "#dfe4e7"
_DOTS, _INK = "#7d8a93", "#2b3338"


@dataclass(frozen=True)
class _Bar:
    name: str
    throughput: float
    latency: Latency | None
    colour: str


def plot(results: Results, path: Path) -> bool:
    """Draw the chart; return False if there are no results for it."""
    bars, rate = _bars(results)
    if not bars:
        return False
    figure = matplotlib.figure.Figure(figsize=(11, 1.7 + 0.42 * len(bars)), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_throughput(left, bars)
    _draw_latency(right, bars, rate)
    machine = results.machine
    note = "; quick run, not to be quoted" if results.quick else ""
    figure.suptitle(
        f"JPEG in, masks out: {machine.cpu}, {machine.cpu_quota} cores, {machine.date[:10]}{note}",
        fontsize=10,
        color=_INK,
    )
    figure.savefig(path)
    return True


def _bars(results: Results) -> tuple[list[_Bar], float | None]:
    bars = []
    if results.ceilings is not None:
        bars.append(_Bar("ceiling: session alone", results.ceilings.best_session, None, _CEILING))
        bars.append(_Bar("ceiling: without HTTP", results.ceilings.best_pipeline, None, _CEILING))
    if results.peers is not None:
        ours = min(results.peers.ours, key=_throughput)  # its worse run, as in the checks
        for load, colour in [(ours, _OURS), *((load, _OTHER) for load in results.peers.others)]:
            if load.saturated is not None and load.half is not None:
                bars.append(
                    _Bar(load.name, load.saturated.report.throughput, load.half.report.latency, colour)
                )
        return bars, results.peers.rate
    if results.service is not None:
        half = results.service.half.report.latency
        bars.append(_Bar("this service", results.service.saturation, half, _OURS))
        return bars, results.service.saturation / 2
    return bars, None


def _throughput(load: PeerLoad) -> float:
    return load.saturated.report.throughput if load.saturated is not None else 0.0


def _draw_throughput(axes: matplotlib.axes.Axes, bars: list[_Bar]) -> None:
    values = [bar.throughput for bar in bars]
    rows = range(len(bars))
    axes.barh(rows, values, color=[bar.colour for bar in bars], height=0.62)
    for row, value in zip(rows, values, strict=True):
        axes.text(value, row, f" {value:.1f}", va="center", fontsize=8, color=_INK)
    axes.set_yticks(rows, [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(values))
    axes.set_xlabel("strips per second at saturation (longer is better)")
    _tidy(axes)


def _draw_latency(axes: matplotlib.axes.Axes, bars: list[_Bar], rate: float | None) -> None:
    shown = [(row, found) for row, bar in enumerate(bars) if (found := _percentiles(bar.latency))]
    for row, found in shown:
        colour = _OURS if bars[row].colour == _OURS else _DOTS
        axes.plot([found[0], found[-1]], [row, row], color=colour, linewidth=2, zorder=1)
        for value, marker, size in zip(found, ("o", "|", "D"), (6, 11, 6), strict=True):
            axes.plot(value, row, marker, color=colour, markersize=size, markeredgewidth=2, zorder=2)
        axes.annotate(
            f"{found[-1]:.0f}",
            (found[-1], row),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_xlabel("latency in ms" + ("" if rate is None else f" at {rate:.1f} strips per second"))
    marks = [
        matplotlib.lines.Line2D([], [], linestyle="", marker=marker, color=_DOTS, label=label)
        for marker, label in (("o", "p50"), ("|", "p95"), ("D", "p99"))
    ]
    axes.legend(
        handles=marks, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=3, frameon=False, fontsize=8
    )
    values = [value for _, found in shown for value in found]
    if values and max(values) > 20 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    elif values:
        axes.set_xlim(0, 1.12 * max(values))
    _tidy(axes)


def _percentiles(latency: Latency | None) -> tuple[float, float, float] | None:
    if latency is None or latency.p50 is None or latency.p95 is None or latency.p99 is None:
        return None
    return latency.p50, latency.p95, latency.p99


def _tidy(axes: matplotlib.axes.Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6eaec", linewidth=0.8)
    axes.set_axisbelow(True)
