"""Other servers of the same model, measured beside this service."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.context import BenchContext
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


def measure_peers(context: BenchContext, environments: Path, chosen: Sequence[Peer]) -> Peers:
    """Measure this service, each peer in turn, and this service again."""
    ours, rate = _measure_ours(context, None)
    others = [_measure_peer(context, environments, peer, rate) for peer in chosen]
    again, _ = _measure_ours(context, rate)
    with running_service(context.model, context.logs, context.first_job(), name="multipart") as server:
        form = Server("this service, form", server.url, "service-multipart", server.process)
        multipart = _load(context, form, rate)
    return Peers(rate, [ours, again], multipart, others)


def _measure_ours(context: BenchContext, rate: float | None) -> tuple[PeerLoad, float]:
    with running_service(context.model, context.logs, context.first_job()) as server:
        saturated = context.saturate(server, _SETTLE_SECONDS)
        rate = rate or saturated.report.throughput / 2
        return PeerLoad(server.name, None, saturated, context.open_loop(server, rate)), rate


def _measure_peer(context: BenchContext, environments: Path, peer: Peer, rate: float) -> PeerLoad:
    python = Path(sys.executable)
    if peer.environment is not None:
        python = environments.absolute() / peer.environment / "bin" / "python"
        if not python.is_file():
            return PeerLoad(
                peer.name, f"not installed: there is no {python}; make bench installs it", None, None
            )
    port = free_port()
    folder = context.out.absolute() / "peers" / peer.module
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
                "PEER_MODEL": str(context.model.resolve()),
                "PEER_PORT": str(port),
                "PEER_WORKERS": str(cpu_quota()),
            },
            folder=folder,  # some write files into their working folder
            log=context.logs / f"{peer.module}.log",
            job=context.first_job(),
        ) as server:
            return _load(context, server, rate)
    except StartError as error:
        return PeerLoad(peer.name, f"did not start: {error}", None, None)


def _load(context: BenchContext, server: Server, rate: float) -> PeerLoad:
    return PeerLoad(
        server.name, None, context.saturate(server, _SETTLE_SECONDS), context.open_loop(server, rate)
    )
