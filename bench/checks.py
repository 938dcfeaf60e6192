"""Targets of the benchmark, compared with the results."""

from collections.abc import Iterable

from bench.check import Check
from bench.overload import Overload
from bench.peer_servers import PeerLoad, Peers
from bench.results import Models, Results
from bench.service_load import ServiceLoad


def evaluate_checks(results: Results) -> list[Check]:
    """Compare every result that has a target."""
    checks: list[Check] = []
    if results.service is not None:
        checks += _service_checks(results.service)
    if results.model is not None:
        checks += _model_checks(results.model)
    if results.peers is not None:
        checks += _peer_checks(results.peers)
    if results.overload is not None:
        checks += _overload_checks(results.overload)
    if results.tiny is not None:
        early, late = results.tiny.requests
        name = f"memory after {late} requests / after {early}, tiny model"
        checks.append(Check(name, "<=", 1.03, results.tiny.growth))
    if results.runs:
        checks.append(Check("wrong answers, of all servers", "==", 0, results.wrong))
    return checks


def _service_checks(load: ServiceLoad) -> Iterable[Check]:
    yield Check("service / pipeline ceiling at saturation", ">=", 0.90, load.share_of_ceiling)
    yield Check("added latency p50 at low load", "<=", 4, load.low.report.added_latency.p50, "ms")
    outside = load.cpu_ms_outside_session
    note = "the service does not report CPU time by stage" if outside is None else ""
    yield Check("processor time outside the session, per strip", "<=", 4, outside, "ms", note)


def _model_checks(models: Models) -> Iterable[Check]:
    (speed,) = (speed for speed in models.speeds if speed.threads == 1)
    note = "at one thread, as the service runs strips"
    yield Check("textbook / default model, defective strip", ">=", 15, speed.defective_ratio, "x", note)
    name = "textbook / default model, clean strip"
    if models.clean_passed:
        note = f"no strip is clean for the model: at least {models.clean_passed} classes pass on each"
        yield Check(name, ">=", 30, None, "x", note)
    else:
        yield Check(name, ">=", 30, speed.clean_ratio, "x", note)


def _peer_checks(peers: Peers) -> Iterable[Check]:
    measured = [load for load in peers.others if load.problem is None]
    note = f"{len(measured)} of {len(peers.others)} peers measured; this service's worse run"
    throughput = _ratio(
        min(_throughputs(peers.ours), default=None), max(_throughputs(measured), default=None)
    )
    yield Check("throughput / that of the best peer", ">", 1, throughput, "x", note)
    p99 = _ratio(max(_p99s(peers.ours), default=None), min(_p99s(measured), default=None))
    yield Check("p99 / that of the best peer, same rate", "<", 1, p99, "x", note)


def _overload_checks(load: Overload) -> Iterable[Check]:
    report = load.overloaded.report
    yield Check("overload: p99 of answers", "<=", load.deadline_ms, report.latency.p99, "ms")
    yield Check("overload: p99 of refusals", "<=", 50, report.refusal_latency.p99, "ms")
    yield Check("overload: throughput / saturation", ">=", 0.95, load.kept)


def _throughputs(loads: Iterable[PeerLoad]) -> list[float]:
    return [load.saturated.report.throughput for load in loads if load.saturated is not None]


def _p99s(loads: Iterable[PeerLoad]) -> list[float]:
    found = [load.half.report.latency.p99 for load in loads if load.half is not None]
    return [p99 for p99 in found if p99 is not None]


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
