"""Other servers of the same model, measured beside this service."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.context import Bench
from bench.drive import LoadRun
from bench.our_service import running_service
from bench.processes import Server, running_server
from service.model.cpu_quota import cpu_quota
from tests.support.serving import ROOT, StartError, free_port

_SETTLE_SECONDS = 3.0
"""Extra warm-up, since after a first answer other workers may still be loading."""


@dataclass(frozen=True)
class Peer:
    """A server to compare with; its module in bench.peers describes its setup."""

    name: str
    module: str
    """Module of bench.peers that starts the server."""
    protocol: str
    environment: str | None
    """Folder of its environment; None for the benchmark's own."""


@dataclass(frozen=True)
class PeerLoad:
    """Loads of one server, or the problem that prevented them."""

    name: str
    problem: str | None
    saturated: LoadRun | None
    """Closed loop."""
    half: LoadRun | None
    """Open loop at the common rate."""


@dataclass(frozen=True)
class Peers:
    """Loads of this service before and after those of the other servers."""

    rate: float
    """Common rate of the open loops: half of this service's saturation."""
    ours: list[PeerLoad]
    multipart: PeerLoad
    """This service with multipart requests."""
    others: list[PeerLoad]

    @property
    def our_throughput(self) -> float:
        """Mean saturation of this service before and after."""
        found = [load.saturated.report.throughput for load in self.ours if load.saturated is not None]
        return sum(found) / len(found)

    @property
    def runs(self) -> list[LoadRun]:
        """All runs."""
        loads = [*self.ours, self.multipart, *self.others]
        return [run for load in loads for run in (load.saturated, load.half) if run is not None]


def peers() -> list[Peer]:
    """Return the servers to compare with."""
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
            folder=folder,  # some write files into their working folder
            log=bench.logs / f"{peer.module}.log",
            job=bench.first_job(),
        ) as server:
            return _load(bench, server, rate)
    except StartError as error:
        return PeerLoad(peer.name, f"did not start: {error}", None, None)


def _load(bench: Bench, server: Server, rate: float) -> PeerLoad:
    return PeerLoad(server.name, None, bench.saturate(server, _SETTLE_SECONDS), bench.open_loop(server, rate))
