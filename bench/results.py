"""Results of a benchmark."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ceilings import Ceilings
from bench.check import Check
from bench.drive import LoadRun
from bench.machine import Machine
from bench.model_speed import ModelSpeed
from bench.overload import Overload
from bench.peer_servers import Peers
from bench.service_load import ServiceLoad
from bench.tiny import Tiny


@dataclass(frozen=True)
class Strips:
    """The strips that were sent."""

    source: str
    count: int
    defective: int
    """Strips with a defect, by the model's answer."""
    mean_bytes: float


@dataclass(frozen=True)
class Models:
    """Speed of the networks."""

    speeds: list[ModelSpeed]
    clean_passed: int
    """Classes that pass on the strips used as clean ones; more than 0 if the model finds no strip clean."""


@dataclass
class Results:
    """Results so far; None for sections that were not selected."""

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
    def runs(self) -> list[LoadRun]:
        """All runs of the generator."""
        sections = (self.service, self.overload, self.tiny, self.peers)
        return [run for section in sections if section is not None for run in section.runs]

    @property
    def wrong(self) -> int:
        """Wrong answers of all servers."""
        return sum(run.report.wrong for run in self.runs)


def write_json(results: Results, checks: Sequence[Check], path: Path) -> None:
    """Write all results, derived values included."""
    document = {**_plain(results), "checks": [_plain(check) for check in checks]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _plain(value: Any) -> Any:
    """Convert dataclasses to dictionaries, with their properties."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        names += [name for name, kind in vars(type(value)).items() if isinstance(kind, property)]
        return {name: _plain(getattr(value, name)) for name in names if name != "runs"}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
