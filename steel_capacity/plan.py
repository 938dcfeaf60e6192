"""Strips that a line makes, what a replica answers, and how many of them are wanted: plain arithmetic.

Formulas, where they are from and how they compare with measurements: docs/capacity.md.
"""

import math
from dataclasses import dataclass

from service.geometry import HEIGHT, WIDTH

_ROUNDING = 1e-9
"""A load that is whole replicas but for the last bits of a float wants no further one."""
_LATE_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """What a replica was measured to do; docs/performance.md has the runs."""

    what: str
    strips_per_second: float
    """At saturation, median of the rounds, on strips for which the decoder runs."""
    processors: int
    defective_ms: float
    """The model alone on one thread, a strip with a defect."""
    clean_ms: float
    """The same, a strip on which no class shows: no decoder."""


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
    """What passes the cameras, and how it is cut into strips of the service.

    Raises:
        ValueError: if tiles overlap as far as they reach.
    """

    speed: float
    """m/s."""
    width: float
    """Of the steel, mm."""
    sides: int
    mm_across: float
    """Of a pixel, across the line."""
    mm_along: float
    tile_across: int = WIDTH
    """Pixels."""
    tile_along: int = HEIGHT
    overlap: int = 0
    """Pixels that two neighbours share, across and along."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < min(self.tile_across, self.tile_along):
            raise ValueError(
                f"tiles of {self.tile_across} x {self.tile_along} pixels cannot share {self.overlap} of them"
            )

    @property
    def columns(self) -> int:
        """Tiles side by side: the first reaches its whole width, each further one that less the overlap."""
        pixels = self.width / self.mm_across - self.overlap
        return max(1, math.ceil(pixels / (self.tile_across - self.overlap) - _ROUNDING))

    @property
    def rows_per_second(self) -> float:
        """Speed over the length that a row of tiles is new for."""
        return self.speed * 1000 / ((self.tile_along - self.overlap) * self.mm_along)

    @property
    def tiles_per_second(self) -> float:
        """Of all sides."""
        return self.columns * self.rows_per_second * self.sides

    @property
    def tile_ms(self) -> float:
        """How long a tile takes to pass the camera: how old its first pixels are when its last have come."""
        return self.tile_along * self.mm_along / self.speed


@dataclass(frozen=True, slots=True)
class Replica:
    """One instance of the service."""

    strips_per_second: float
    """At saturation."""
    parallel: int
    """Strips that it runs side by side."""

    @property
    def strip_ms(self) -> float:
        """What a strip takes of one of the places in which strips run."""
        return 1000 * self.parallel / self.strips_per_second

    def waiting_probability(self, load: float) -> float:
        """Erlang's C: how likely a strip has to wait at a load, which is below 1, a share of saturation."""
        offered = load * self.parallel
        blocked = 1.0
        for places in range(1, self.parallel + 1):
            blocked = offered * blocked / (places + offered * blocked)
        return blocked / (1 - load * (1 - blocked))

    def mean_wait_ms(self, load: float) -> float:
        """Mean wait in a queue M/M/c."""
        return self.waiting_probability(load) * self.strip_ms / (self.parallel * (1 - load))

    def late_wait_ms(self, load: float) -> float:
        """Wait that 1 strip in 100 exceeds, M/M/c."""
        waiting = self.waiting_probability(load)
        if waiting <= _LATE_SHARE:
            return 0.0
        return math.log(waiting / _LATE_SHARE) * self.strip_ms / (self.parallel * (1 - load))


def replica_of(measured: Measured, defective_share: float) -> Replica:
    """Return a replica that answers this mix of strips.

    A clean strip takes what a defective one takes, less the difference of the model's times: worked out, not
    measured.
    """
    defective_ms = 1000 * measured.processors / measured.strips_per_second
    strip_ms = defective_ms - (1 - defective_share) * (measured.defective_ms - measured.clean_ms)
    return Replica(1000 * measured.processors / strip_ms, measured.processors)


@dataclass(frozen=True, slots=True)
class Plan:
    """Replicas for a line.

    Args:
        line: what comes.
        replica: what one of them does.
        utilisation: share of its saturation that a replica is to be used to, above 0 and below 1.
        spare: replicas more than the load wants, for one that fails or is being renewed.
    """

    line: Line
    replica: Replica
    utilisation: float
    spare: int

    @property
    def needed(self) -> int:
        """Replicas for the load, without spare ones."""
        most = self.replica.strips_per_second * self.utilisation
        return max(1, math.ceil(self.line.tiles_per_second / most - _ROUNDING))

    @property
    def replicas(self) -> int:
        """With the spare ones."""
        return self.needed + self.spare

    @property
    def fastest(self) -> float:
        """Speed in m/s up to which the needed replicas are enough."""
        return self.line.speed * self.utilisation / self.load(self.needed)

    def load(self, replicas: int) -> float:
        """Share of their saturation to which so many replicas are used."""
        return self.line.tiles_per_second / (replicas * self.replica.strips_per_second)

    def row_wait_ms(self, replicas: int) -> float:
        """How long the last tile of a row waits, whose tiles of all columns and sides come at once."""
        at_once = self.line.columns * self.line.sides
        return (math.ceil(at_once / (replicas * self.replica.parallel)) - 1) * self.replica.strip_ms

    def latency_ms(self, replicas: int) -> float:
        """From a tile's first pixel to its answer, all but 1 tile in 100; the network not counted."""
        waiting = max(self.row_wait_ms(replicas), self.replica.late_wait_ms(self.load(replicas)))
        return self.line.tile_ms + waiting + self.replica.strip_ms
