"""``python -m steel_capacity``: how many frames a line produces, and how many replicas answer them in time.

Formulas and examples: docs/capacity.md.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from steel_capacity.model import Tile, read_tile
from steel_capacity.plan import MEASURED, Line, Measured, Plan, Replica, replica_of, tiles_of

_SMALLEST, _LARGEST = 1e-6, 1e6


def report(plan: Plan, tiles: int, what: str, budget_ms: float | None) -> str:
    """Return a plan as a table; the last columns are with the spare replicas and without.

    Args:
        plan: to print.
        tiles: of a frame; with one, frames are strips.
        what: the replica, in words.
        budget_ms: from a frame's first pixel to its answer; None if there is none.
    """
    line, replica = plan.line, plan.replica
    part, unit = ("tile", "strips") if tiles == 1 else ("frame", "frames")
    counts = tuple(dict.fromkeys((plan.replicas, plan.needed)))

    def with_each(value: Callable[[int], float], digits: int = 1) -> list[str]:
        return [f"{value(count):.{digits}f}" for count in counts]

    def moved(count: int) -> float:
        return line.speed * plan.latency_ms(count) / 1000

    size = f"{line.frame_across * line.mm_across:.0f} x {line.frame_along * line.mm_along:.0f} mm"
    per_second = replica.strips_per_second
    rows = [
        ["the line"],
        [f"a {part}", size],
        [f"{part}s across the steel", f"{line.columns}"],
        [f"rows of {part}s per second", f"{line.rows_per_second:.1f}"],
        [f"{unit} per second, one side", f"{line.frames_per_second / line.sides:.1f}"],
        [f"{unit} per second, sides: {line.sides}", f"{line.frames_per_second:.1f}"],
        *([] if tiles == 1 else [["tiles of a frame", f"{tiles}"]]),
        [f"a replica: {what}"],
        *([] if tiles == 1 else [["tiles per second", f"{tiles * per_second:.1f}"]]),
        [f"{unit} per second", f"{per_second:.1f}"],
        [f"at a utilisation of {plan.utilisation:g}", f"{per_second * plan.utilisation:.1f}"],
        ["replicas"],
        ["needed", f"{plan.needed}", f"up to {plan.fastest:.1f} m/s"],
        ["spare", f"{plan.spare}"],
        ["total", f"{plan.replicas}"],
        ["milliseconds"],
        ["replicas", *map(str, counts)],
        ["utilisation", *with_each(plan.load, 2)],
        [f"a {part} passes the camera", *with_each(lambda _: line.frame_ms)],
        ["wait, mean", *with_each(lambda count: replica.mean_wait_ms(plan.load(count)))],
        ["wait, 99th percentile", *with_each(lambda count: replica.late_wait_ms(plan.load(count)))],
        ["wait of the last in a row", *with_each(plan.row_wait_ms)],
        ["processing", *with_each(lambda _: replica.strip_ms)],
        ["latency, 99th percentile", *with_each(plan.latency_ms)],
        ["line movement, metres", *with_each(moved, 2)],
    ]
    if budget_ms is not None:
        spare_ms = [budget_ms - plan.latency_ms(count) for count in counts]
        rows.append([f"budget of {budget_ms:g}", *("met" if left >= 0 else "MISSED" for left in spare_ms)])
    return "\n".join(_written(*row) for row in rows)


def _written(name: str, *cells: str) -> str:
    return f"  {name:<30}" + "".join(f"  {cell:>14}" for cell in cells) if cells else name


def _number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of numbers in a range."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got {text!r}")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of integers in a range."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected an integer from {least} to {most}, got {text!r}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steel_capacity", description=__doc__)
    size, pixels = _number(_SMALLEST, _LARGEST), _whole(1, 100_000)
    line = parser.add_argument_group("the line")
    line.add_argument("--speed", type=size, required=True, help="m/s")
    line.add_argument("--width", type=size, required=True, help="of the steel, mm")
    line.add_argument("--sides", type=_whole(1, 2), default=2, help="sides with cameras; default: 2")
    line.add_argument("--mm-across", type=size, required=True, help="millimetres per pixel, across the line")
    line.add_argument("--mm-along", type=size, help="the same along the line; default: as across")
    line.add_argument("--frame-across", type=pixels, help="pixels of a picture that is sent; default: a tile")
    line.add_argument("--frame-along", type=pixels, help="the same along the line")
    line.add_argument(
        "--overlap",
        type=_whole(0, 100_000),
        default=0,
        help="pixels shared by neighbouring pictures; default: 0",
    )
    line.add_argument(
        "--defective-share",
        type=_number(0, 1),
        default=1.0,
        help="share of the strips for which the decoder runs; default: 1, because it runs for nearly all at "
        "the thresholds that ship",
    )
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--model",
        type=Path,
        help="file or folder, for the tile, whose width lies across the line",
    )
    model.add_argument(
        "--tile-across", type=pixels, help="pixels; default: those of the model that was measured"
    )
    model.add_argument("--tile-along", type=pixels, help="the same along the line")
    replica = parser.add_argument_group("a replica")
    machines = "; ".join(f"{name}: {found.what}" for name, found in MEASURED.items())
    replica.add_argument(
        "--machine",
        choices=MEASURED,
        default="xeon",
        help=f"machine whose measured speed is used. {machines}",
    )
    replica.add_argument(
        "--strips-per-second",
        type=size,
        help="your own measurement at saturation, instead of --machine, of strips or tiles",
    )
    replica.add_argument(
        "--parallel",
        type=_whole(1, 1024),
        help="strips that run in parallel, on a CPU the number of processors; with --strips-per-second",
    )
    target = parser.add_argument_group("the target")
    target.add_argument(
        "--utilisation", type=_number(0.01, 0.99), default=0.65, help="of a replica; default: %(default)s"
    )
    target.add_argument(
        "--spare", type=_whole(0, 1000), default=1, help="replicas beyond those needed; default: 1"
    )
    target.add_argument("--budget-ms", type=size, help="from the first pixel of a picture to its answer")
    return parser


def _tile(options: argparse.Namespace, measured: Measured) -> Tile:
    """Return the tile of the model, or as it was given.

    Raises:
        ValueError: if the model cannot be read, or there are two answers.
    """
    if options.model is None:
        return Tile(options.tile_across or measured.tile_across, options.tile_along or measured.tile_along)
    if options.tile_across is not None or options.tile_along is not None:
        raise ValueError("expected --model, which says its tile, or --tile-across and --tile-along, got both")
    return read_tile(options.model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan; return the exit code. Impossible input ends the process with code 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    measured = MEASURED[options.machine]
    try:
        tile = _tile(options, measured)
        across = options.frame_across or tile.across
        along = options.frame_along or tile.along
        tiles = tiles_of(across, along, tile.across, tile.along, pad=tile.pad)
        line = Line(
            options.speed,
            options.width,
            options.sides,
            options.mm_across,
            options.mm_across if options.mm_along is None else options.mm_along,
            across,
            along,
            options.overlap,
        )
    except ValueError as error:
        parser.error(str(error))
    if (options.strips_per_second is None) != (options.parallel is None):
        parser.error("expected both --strips-per-second and --parallel, got one of them")
    if options.strips_per_second is None:
        if not tile.like(measured):
            parser.error(
                f"the speeds of --machine are those of {measured.model} with tiles of "
                f"{measured.tile_across} x {measured.tile_along} pixels, got {tile}: measure yours, "
                "--strips-per-second and --parallel"
            )
        replica, what = replica_of(measured, options.defective_share), measured.what
    elif options.defective_share < 1:
        parser.error("--strips-per-second includes your mix of strips: leave --defective-share out")
    else:
        replica, what = Replica(options.strips_per_second, options.parallel), "as given"
    plan = Plan(line, replica.for_frames(tiles), options.utilisation, options.spare)
    print(report(plan, tiles, what, options.budget_ms))
    return 0


if __name__ == "__main__":
    sys.exit(main())
