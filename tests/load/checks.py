"""What was wanted, beside what was measured."""

from collections.abc import Iterable

from tests.load.check import Check
from tests.load.peer_servers import PeerLoad
from tests.load.results import Results


def all_checks(results: Results) -> list[Check]:
    """Compare everything that has a target."""
    return [
        *_service_checks(results),
        *_model_checks(results),
        *_peer_checks(results),
        *_overload_checks(results),
        Check(
            "memory after all requests / after the first tenth, tiny model",
            "<=",
            1.03,
            results.tiny.growth if results.tiny else None,
        ),
        Check("wrong answers, of anybody", "==", 0, results.wrong if results.runs else None),
    ]


def _service_checks(results: Results) -> Iterable[Check]:
    load = results.service
    yield Check(
        "service / pipeline ceiling at saturation", ">=", 0.90, load.share_of_ceiling if load else None
    )
    yield Check(
        "added latency p50 at low load", "<=", 4, load.low.report.added_latency.p50 if load else None, "ms"
    )
    outside = load.cpu_ms_outside_session if load else None
    note = "the service does not count processor time by stage" if load and outside is None else ""
    yield Check("processor time outside the session, per strip", "<=", 4, outside, "ms", note)


def _model_checks(results: Results) -> Iterable[Check]:
    speeds = results.model.speeds if results.model else []
    passed = results.model.clean_passed if results.model else None
    defective = min((speed.defective_ratio for speed in speeds), default=None)
    yield Check("textbook / default model, defective strip", ">=", 15, defective, "x", "least over threads")
    clean = min((speed.clean_ratio for speed in speeds), default=None)
    note = "least over threads"
    if passed:
        clean, note = None, f"the model takes no strip for clean: at least {passed} classes pass on each"
    yield Check("textbook / default model, clean strip", ">=", 30, clean, "x", note)


def _peer_checks(results: Results) -> Iterable[Check]:
    throughput: float | None = None
    p99: float | None = None
    note = ""
    if results.peers:
        measured = [load for load in results.peers.others if load.problem is None]
        note = f"{len(measured)} of {len(results.peers.others)} peers measured; this service's worse run"
        ours = min(_throughputs(results.peers.ours), default=None)
        theirs = max(_throughputs(measured), default=None)
        throughput = ours / theirs if ours and theirs else None
        our_p99 = max(_p99s(results.peers.ours), default=None)
        their_p99 = min(_p99s(measured), default=None)
        p99 = our_p99 / their_p99 if our_p99 and their_p99 else None
    yield Check("throughput / that of the best peer", ">", 1, throughput, "x", note)
    yield Check("p99 / that of the best peer, same rate", "<", 1, p99, "x", note)


def _overload_checks(results: Results) -> Iterable[Check]:
    load = results.overload
    report = load.overloaded.report if load else None
    deadline = load.deadline_ms if load else 2000
    yield Check("overload: p99 of answers", "<=", deadline, report.latency.p99 if report else None, "ms")
    yield Check("overload: p99 of refusals", "<=", 50, report.refusal_latency.p99 if report else None, "ms")
    yield Check("overload: throughput / saturation", ">=", 0.95, load.kept if load else None)


def _throughputs(loads: Iterable[PeerLoad]) -> list[float]:
    return [load.saturated.report.throughput for load in loads if load.saturated is not None]


def _p99s(loads: Iterable[PeerLoad]) -> list[float]:
    found = [load.half.report.latency.p99 for load in loads if load.half is not None]
    return [p99 for p99 in found if p99 is not None]
