"""Everything that one benchmark measured."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ceilings import Ceilings
from bench.check import Check
from bench.drive import Measured
from bench.machine import Machine
from bench.model_speed import ModelSpeed
from bench.overload import Overload
from bench.peer_servers import Peers
from bench.service_load import ServiceLoad
from bench.tiny import Tiny


@dataclass(frozen=True)
class Strips:
    """What was sent."""

    source: str
    count: int
    defective: int
    """By the model's answer."""
    mean_bytes: float


@dataclass(frozen=True)
class Models:
    """Speed of the networks."""

    speeds: list[ModelSpeed]
    clean_passed: int
    """Classes that pass on the strips taken as clean: 0, or they are not what the model takes for clean."""


@dataclass
class Results:
    """What was measured so far; None is what was not asked for."""

    machine: Machine
    strips: Strips
    quick: bool
    ceilings: Ceilings | None = None
    model: Models | None = None
    service: ServiceLoad | None = None
    overload: Overload | None = None
    tiny: Tiny | None = None
    peers: Peers | None = None
    stolen_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def runs(self) -> list[Measured]:
        """Every run of the generator."""
        sections = (self.service, self.overload, self.tiny, self.peers)
        return [run for section in sections if section is not None for run in section.runs]

    @property
    def wrong(self) -> int:
        """Wrong answers of anybody to anything."""
        return sum(run.report.wrong for run in self.runs)


def write_json(results: Results, checks: Sequence[Check], path: Path) -> None:
    """Write everything, values that are worked out included."""
    document = {**_plain(results), "checks": [_plain(check) for check in checks]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _plain(value: Any) -> Any:
    """Turn dataclasses into dictionaries, with their properties."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        names += [name for name, kind in vars(type(value)).items() if isinstance(kind, property)]
        return {name: _plain(getattr(value, name)) for name in names if name != "runs"}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
