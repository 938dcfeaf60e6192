"""Arithmetic of capacity: frames that a line produces, frames that a replica answers, replicas needed.

Formulas, their sources and how they compare with measurements: docs/capacity.md.
"""

import math
from dataclasses import dataclass

from service.model.tiles import plan_tiles

_ROUNDING = 1e-9
"""So that the last bits of a float do not add a frame or a replica."""
_LATE_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured speed of a replica; docs/performance.md has the runs."""

    what: str
    strips_per_second: float
    """At saturation, median of the rounds, on strips for which the decoder runs."""
    processors: int
    defective_ms: float
    """The model alone on one thread, a strip with a defect."""
    clean_ms: float
    """The same for a strip on which no class shows: the decoder does not run."""
    model: str = "steel-unet-resnet18-fast"
    tile_across: int = 1600
    """Pixels of a strip, the model's tile."""
    tile_along: int = 256


MEASURED = {
    "xeon": Measured(
        "fast model, two cores of an Intel Xeon with AMX and VNNI, 24 November 2026", 106.2, 2, 15.5, 8.7
    ),
    "epyc": Measured(
        "fast model, two cores of an AMD EPYC with AVX2 only, 25 November 2026", 28.4, 2, 54.1, 41.2
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and how its picture is cut into frames; one of the size of the model's tile is a strip.

    Raises:
        ValueError: if the overlap is as large as a frame.
    """

    speed: float
    """m/s."""
    width: float
    """Of the steel, mm."""
    sides: int
    mm_across: float
    """Millimetres per pixel, across the line."""
    mm_along: float
    frame_across: int
    """Pixels."""
    frame_along: int
    overlap: int = 0
    """Pixels shared by two neighbours, across and along."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < min(self.frame_across, self.frame_along):
            raise ValueError(
                f"expected an overlap smaller than a frame of {self.frame_across} x {self.frame_along} "
                f"pixels, got {self.overlap}"
            )

    @property
    def columns(self) -> int:
        """Frames across the steel: each after the first adds its width less the overlap."""
        pixels = self.width / self.mm_across - self.overlap
        return max(1, math.ceil(pixels / (self.frame_across - self.overlap) - _ROUNDING))

    @property
    def rows_per_second(self) -> float:
        """Rows of frames per second: the speed over the length that a row adds."""
        return self.speed * 1000 / ((self.frame_along - self.overlap) * self.mm_along)

    @property
    def frames_per_second(self) -> float:
        """Frames per second on all sides."""
        return self.columns * self.rows_per_second * self.sides

    @property
    def frame_ms(self) -> float:
        """Milliseconds for a frame to pass the camera: age of its first pixels when the last arrive."""
        return self.frame_along * self.mm_along / self.speed


@dataclass(frozen=True, slots=True)
class Replica:
    """One instance of the service, which answers strips, or frames of several tiles."""

    strips_per_second: float
    """At saturation."""
    parallel: int
    """Strips that it runs in parallel."""

    def for_frames(self, tiles: int) -> "Replica":
        """Return the replica as it answers frames of so many tiles, each of which costs as much as a strip.

        The tiles of a frame run in parallel: it takes as many places as it has tiles, or all of them.
        """
        return Replica(self.strips_per_second / tiles, max(1, self.parallel // tiles))

    @property
    def strip_ms(self) -> float:
        """Milliseconds of one strip or frame in one of the parallel places."""
        return 1000 * self.parallel / self.strips_per_second

    def waiting_probability(self, load: float) -> float:
        """Return the probability that a strip waits (Erlang's C) at a load, a share of saturation below 1."""
        offered = load * self.parallel
        blocked = 1.0
        for places in range(1, self.parallel + 1):
            blocked = offered * blocked / (places + offered * blocked)
        return blocked / (1 - load * (1 - blocked))

    def mean_wait_ms(self, load: float) -> float:
        """Return the mean wait in an M/M/c queue."""
        return self.waiting_probability(load) * self.strip_ms / (self.parallel * (1 - load))

    def late_wait_ms(self, load: float) -> float:
        """Return the wait that 1 strip in 100 exceeds in an M/M/c queue."""
        waiting = self.waiting_probability(load)
        if waiting <= _LATE_SHARE:
            return 0.0
        return math.log(waiting / _LATE_SHARE) * self.strip_ms / (self.parallel * (1 - load))


def tiles_of(frame_across: int, frame_along: int, tile_across: int, tile_along: int, *, pad: bool) -> int:
    """Return the number of tiles into which the service cuts a frame.

    Args:
        frame_across: pixels.
        frame_along: pixels.
        tile_across: pixels.
        tile_along: pixels.
        pad: whether the service pads a smaller frame to a tile, or refuses it.

    Raises:
        ValueError: if it refuses the frame.
    """
    if pad:
        frame_across, frame_along = max(frame_across, tile_across), max(frame_along, tile_along)
    return plan_tiles(frame_along, frame_across, tile_along, tile_across).count


def replica_of(measured: Measured, defective_share: float) -> Replica:
    """Return a replica that answers this mix of strips.

    A clean strip takes the time of a defective one, less the difference of the model's times: computed, not
    measured.
    """
    defective_ms = 1000 * measured.processors / measured.strips_per_second
    strip_ms = defective_ms - (1 - defective_share) * (measured.defective_ms - measured.clean_ms)
    return Replica(1000 * measured.processors / strip_ms, measured.processors)


@dataclass(frozen=True, slots=True)
class Plan:
    """Replicas for a line.

    Args:
        line: the line to inspect.
        replica: the speed of each replica, in frames of the line.
        utilisation: target load of a replica, a share of its saturation above 0 and below 1.
        spare: replicas beyond those needed, for one that fails or is replaced.
    """

    line: Line
    replica: Replica
    utilisation: float
    spare: int

    @property
    def needed(self) -> int:
        """Replicas for the load, without the spare ones."""
        most = self.replica.strips_per_second * self.utilisation
        return max(1, math.ceil(self.line.frames_per_second / most - _ROUNDING))

    @property
    def replicas(self) -> int:
        """Replicas in total, with the spare ones."""
        return self.needed + self.spare

    @property
    def fastest(self) -> float:
        """Speed in m/s up to which the needed replicas suffice."""
        return self.line.speed * self.utilisation / self.load(self.needed)

    def load(self, replicas: int) -> float:
        """Return the load of so many replicas, a share of their saturation."""
        return self.line.frames_per_second / (replicas * self.replica.strips_per_second)

    def row_wait_ms(self, replicas: int) -> float:
        """Return the wait of the last frame of a row; those of all columns and sides arrive together."""
        together = self.line.columns * self.line.sides
        return (math.ceil(together / (replicas * self.replica.parallel)) - 1) * self.replica.strip_ms

    def latency_ms(self, replicas: int) -> float:
        """Return the time from a frame's first pixel to its answer, without network; 1 in 100 is later."""
        waiting = max(self.row_wait_ms(replicas), self.replica.late_wait_ms(self.load(replicas)))
        return self.line.frame_ms + waiting + self.replica.strip_ms
