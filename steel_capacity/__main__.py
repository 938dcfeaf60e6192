"""``python -m steel_capacity``: how many strips a line makes, and how many replicas answer them in time.

What it is worked out by, with examples: docs/capacity.md.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence

from service.geometry import HEIGHT, WIDTH
from steel_capacity.plan import MEASURED, Line, Plan, Replica, replica_of

_SMALLEST, _LARGEST = 1e-6, 1e6


def report(plan: Plan, what: str, budget_ms: float | None) -> str:
    """Write a plan as a table; the last columns are with the spare replicas and without."""
    line, replica = plan.line, plan.replica
    counts = tuple(dict.fromkeys((plan.replicas, plan.needed)))

    def with_each(value: Callable[[int], float], digits: int = 1) -> list[str]:
        return [f"{value(count):.{digits}f}" for count in counts]

    def moved(count: int) -> float:
        return line.speed * plan.latency_ms(count) / 1000

    tile = f"{line.tile_across * line.mm_across:.0f} x {line.tile_along * line.mm_along:.0f} mm"
    rows = [
        ["the line"],
        ["a tile", tile],
        ["tiles across the strip", f"{line.columns}"],
        ["rows of tiles a second", f"{line.rows_per_second:.1f}"],
        ["strips a second, one side", f"{line.tiles_per_second / line.sides:.1f}"],
        [f"strips a second, sides: {line.sides}", f"{line.tiles_per_second:.1f}"],
        [f"a replica: {what}"],
        ["strips a second", f"{replica.strips_per_second:.1f}"],
        [f"used to {plan.utilisation:g} of that", f"{replica.strips_per_second * plan.utilisation:.1f}"],
        ["replicas"],
        ["needed", f"{plan.needed}", f"up to {plan.fastest:.1f} m/s"],
        ["spare", f"{plan.spare}"],
        ["in all", f"{plan.replicas}"],
        ["milliseconds"],
        ["with replicas", *map(str, counts)],
        ["used to", *with_each(plan.load, 2)],
        ["a tile passes the camera", *with_each(lambda _: line.tile_ms)],
        ["it waits, mean", *with_each(lambda count: replica.mean_wait_ms(plan.load(count)))],
        ["it waits, 99 of 100 less than", *with_each(lambda count: replica.late_wait_ms(plan.load(count)))],
        ["the last of a row waits", *with_each(plan.row_wait_ms)],
        ["the answer takes", *with_each(lambda _: replica.strip_ms)],
        ["99 of 100 answered after", *with_each(plan.latency_ms)],
        ["metres that the line moves", *with_each(moved, 2)],
    ]
    if budget_ms is not None:
        spare_ms = [budget_ms - plan.latency_ms(count) for count in counts]
        rows.append([f"budget of {budget_ms:g}", *("kept" if left >= 0 else "MISSED" for left in spare_ms)])
    return "\n".join(_written(*row) for row in rows)


def _written(name: str, *cells: str) -> str:
    return f"  {name:<30}" + "".join(f"  {cell:>14}" for cell in cells) if cells else name


def _number(above: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of this range."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not above <= value <= most:
            raise argparse.ArgumentTypeError(f"a number from {above:g} to {most:g} is wanted; got {text!r}")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number of this range."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most} is wanted; got {text!r}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steel_capacity", description=__doc__)
    size, pixels = _number(_SMALLEST, _LARGEST), _whole(1, 100_000)
    line = parser.add_argument_group("the line")
    line.add_argument("--speed", type=size, required=True, help="m/s")
    line.add_argument("--width", type=size, required=True, help="of the steel, mm")
    line.add_argument("--sides", type=_whole(1, 2), default=2, help="that cameras look at; default: 2")
    line.add_argument("--mm-across", type=size, required=True, help="millimetres of a pixel, across the line")
    line.add_argument("--mm-along", type=size, help="the same along it; default: as across")
    line.add_argument("--tile-across", type=pixels, default=WIDTH, help="pixels; default: %(default)s")
    line.add_argument("--tile-along", type=pixels, default=HEIGHT, help="pixels; default: %(default)s")
    line.add_argument(
        "--overlap", type=_whole(0, 100_000), default=0, help="pixels that neighbours share; default: 0"
    )
    line.add_argument(
        "--defective-share",
        type=_number(0, 1),
        default=1.0,
        help="share of the strips for which the decoder runs; default: 1, since at the thresholds that ship "
        "it runs for nearly all",
    )
    replica = parser.add_argument_group("a replica")
    machines = "; ".join(f"{name}: {found.what}" for name, found in MEASURED.items())
    replica.add_argument(
        "--machine", choices=MEASURED, default="xeon", help=f"whose measured speed counts. {machines}"
    )
    replica.add_argument(
        "--strips-per-second", type=size, help="your own measurement, at saturation, in place of --machine"
    )
    replica.add_argument(
        "--parallel",
        type=_whole(1, 1024),
        help="with it, and needed then: strips that run side by side, on a CPU as many as processors",
    )
    wanted = parser.add_argument_group("what is wanted")
    wanted.add_argument(
        "--utilisation", type=_number(0.01, 0.99), default=0.65, help="of a replica; default: %(default)s"
    )
    wanted.add_argument(
        "--spare", type=_whole(0, 1000), default=1, help="replicas more than needed; default: 1"
    )
    wanted.add_argument("--budget-ms", type=size, help="from a tile's first pixel to its answer")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Work out and print; return the exit code. Impossible input ends the process with code 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        line = Line(
            options.speed,
            options.width,
            options.sides,
            options.mm_across,
            options.mm_across if options.mm_along is None else options.mm_along,
            options.tile_across,
            options.tile_along,
            options.overlap,
        )
    except ValueError as error:
        parser.error(str(error))
    if (options.strips_per_second is None) != (options.parallel is None):
        parser.error("--strips-per-second and --parallel are wanted together")
    if options.strips_per_second is None:
        measured = MEASURED[options.machine]
        replica, what = replica_of(measured, options.defective_share), measured.what
    elif options.defective_share < 1:
        parser.error("--strips-per-second is of your mix of strips: leave --defective-share out")
    else:
        replica, what = Replica(options.strips_per_second, options.parallel), "as given"
    print(report(Plan(line, replica, options.utilisation, options.spare), what, options.budget_ms))
    return 0


if __name__ == "__main__":
    sys.exit(main())
