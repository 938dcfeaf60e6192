"""Other ways to serve the same model, measured beside this service."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bench import Bench
from bench.drive import Measured
from bench.our_service import running_service
from bench.processes import ROOT, Server, StartError, free_port, running_server
from service.model.cpu_quota import cpu_quota

_SETTLE_SECONDS = 3.0
"""A first answer shows one worker only; the others may still be loading."""


@dataclass(frozen=True)
class Peer:
    """A server to compare with; how it is set up stands in its file in bench/peers."""

    name: str
    module: str
    """Module of bench.peers that starts it."""
    protocol: str
    environment: str | None
    """Folder of its environment beside the others; None for the one that runs the benchmark."""


@dataclass(frozen=True)
class PeerLoad:
    """What a server did, or why it did nothing."""

    name: str
    problem: str | None
    saturated: Measured | None
    """Closed loop."""
    half: Measured | None
    """Open loop at the rate that is the same for all."""


@dataclass(frozen=True)
class Peers:
    """This service before and after, and the others in between."""

    rate: float
    """Of the open loop for all: half of this service's saturation."""
    ours: list[PeerLoad]
    multipart: PeerLoad
    """This service, asked as a form."""
    others: list[PeerLoad]

    @property
    def our_throughput(self) -> float:
        """This service's saturation, mean of before and after."""
        found = [load.saturated.report.throughput for load in self.ours if load.saturated is not None]
        return sum(found) / len(found)

    @property
    def runs(self) -> list[Measured]:
        """Every run, for wrong answers."""
        loads = [*self.ours, self.multipart, *self.others]
        return [run for load in loads for run in (load.saturated, load.half) if run is not None]


def peers() -> list[Peer]:
    """List them."""
    return [
        Peer("FastAPI", "plain_fastapi", "multipart", None),
        Peer("LitServe", "litserve_server", "multipart", "litserve"),
        Peer("BentoML", "bentoml_server", "raw", "bentoml"),
        Peer("mosec", "mosec_server", "raw", "mosec"),
        Peer("MLServer", "mlserver_server", "mlserver", "mlserver"),
    ]


def measure_peers(bench: Bench, environments: Path, chosen: Sequence[Peer]) -> Peers:
    """Measure this service, each peer in turn, and this service again."""
    ours, rate = _measure_ours(bench, None)
    others = [_measure_peer(bench, environments, peer, rate) for peer in chosen]
    again, _ = _measure_ours(bench, rate)
    with running_service(bench.model, bench.logs, bench.first_job(), name="multipart") as server:
        form = Server("this service, form", server.url, "service-multipart", server.process)
        multipart = _load(bench, form, rate)
    return Peers(rate, [ours, again], multipart, others)


def _measure_ours(bench: Bench, rate: float | None) -> tuple[PeerLoad, float]:
    with running_service(bench.model, bench.logs, bench.first_job()) as server:
        saturated = bench.saturate(server, _SETTLE_SECONDS)
        rate = rate or saturated.report.throughput / 2
        return PeerLoad(server.name, None, saturated, bench.open_loop(server, rate)), rate


def _measure_peer(bench: Bench, environments: Path, peer: Peer, rate: float) -> PeerLoad:
    python = Path(sys.executable)
    if peer.environment is not None:
        python = environments.absolute() / peer.environment / "bin" / "python"
        if not python.is_file():
            return PeerLoad(
                peer.name, f"not installed: there is no {python}; make bench installs it", None, None
            )
    port = free_port()
    folder = bench.out.absolute() / "peers" / peer.module
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with running_server(
            peer.name,
            [str(python), "-m", f"bench.peers.{peer.module}"],
            port=port,
            protocol=peer.protocol,
            environment={
                "PYTHONPATH": str(ROOT),
                "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "PEER_MODEL": str(bench.model.resolve()),
                "PEER_PORT": str(port),
                "PEER_WORKERS": str(cpu_quota()),
            },
            folder=folder,  # some write files where they run
            log=bench.logs / f"{peer.module}.log",
            job=bench.first_job(),
        ) as server:
            return _load(bench, server, rate)
    except StartError as error:
        return PeerLoad(peer.name, f"did not start: {error}", None, None)


def _load(bench: Bench, server: Server, rate: float) -> PeerLoad:
    return PeerLoad(server.name, None, bench.saturate(server, _SETTLE_SECONDS), bench.open_loop(server, rate))
