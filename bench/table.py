"""Text table of the results."""

from collections.abc import Iterable, Sequence

from bench.check import Check
from bench.drive import LoadRun
from bench.latency import Latency
from bench.peer_servers import PeerLoad
from bench.results import Results

Row = Sequence[str]


def table(results: Results, checks: Sequence[Check]) -> str:
    """Format all results, then the targets."""
    parts = [
        _heading(results),
        *_ceilings(results),
        *_model(results),
        *_service(results),
        *_overload(results),
        *_tiny(results),
        *_peers(results),
        *_problems(results),
        check_table(checks),
    ]
    return "\n\n".join(parts)


def _heading(results: Results) -> str:
    machine, strips = results.machine, results.strips
    lines = [
        f"{machine.date}  {machine.cpu}, {machine.cpu_quota} of {machine.cores} cores, "
        f"{machine.memory_gb:g} GB, onnxruntime {machine.versions['onnxruntime']}",
        f"model {machine.model} ({machine.model_sha256[:12]}), commit {machine.commit[:12]}"
        + ("+" if machine.commit.endswith("+") else ""),
        f"{strips.count} strips, {strips.source}, {strips.mean_bytes / 1000:.0f} kB on average; "
        f"the model finds a defect on {strips.defective}",
    ]
    if results.quick:
        lines.append("QUICK: short runs, do not quote these numbers")
    if machine.busy:
        lines.append(
            f"BUSY: the load was {machine.load_before:.1f} before the start; other work makes numbers worse"
        )
    if results.stolen_seconds > 0.01 * results.seconds:
        lines.append(f"STOLEN: other machines on this host took {results.stolen_seconds:.0f} s of CPU time")
    return "\n".join(lines)


def _ceilings(results: Results) -> Iterable[str]:
    found = results.ceilings
    if found is None:
        return
    rows: list[Row] = [
        (setting, f"{found.session[setting]:.1f}", f"{found.pipeline[setting]:.1f}")
        for setting in found.session
    ]
    rows.append(("best", f"{found.best_session:.1f}", f"{found.best_pipeline:.1f}"))
    yield _grid(("ceilings, strips/s", "session alone", "whole pipeline"), rows)


def _model(results: Results) -> Iterable[str]:
    if results.model is None:
        return
    rows = [
        (
            str(speed.threads),
            f"{speed.textbook_ms:.1f}",
            f"{speed.defective_ms:.1f}",
            f"{speed.clean_ms:.1f}",
            f"{speed.defective_ratio:.1f}x",
            f"{speed.clean_ratio:.1f}x",
        )
        for speed in results.model.speeds
    ]
    head = ("threads", "textbook ms", "defective ms", "clean ms", "defective", "clean")
    yield "model, medians per strip\n" + _grid(head, rows)


def _service(results: Results) -> Iterable[str]:
    load = results.service
    if load is None:
        return
    loads = (
        ("saturation", load.at_saturation, load.inside_at_saturation),
        ("half of it", load.half, load.inside_half),
        ("a tenth", load.low, load.inside_low),
    )
    rows = [(name, *_measured(run)) for name, run, _ in loads]
    yield "the service\n" + _grid(("load", *_MEASURED), rows)
    stages = list(load.inside_half.stage_ms)
    rows = [
        (
            name,
            *(_number(inside.stage_ms[stage], 2) for stage in stages),
            _number(inside.batch_size, 2),
            ", ".join(f"{size}: {count}" for size, count in inside.batch_sizes.items()),
        )
        for name, _, inside in loads
    ]
    yield "stages of the service, ms per strip\n" + _grid(
        ("load", *stages, "mean batch", "batches by size"), rows
    )
    cpu = load.cpu_ms_by_stage or {}
    by_stage = (
        ", ".join(f"{stage} {value:.2f}" for stage, value in cpu.items() if value) or "not reported by stage"
    )
    yield (
        f"saturation {load.saturation:.1f} strips/s is {load.share_of_ceiling:.3f} of the pipeline's ceiling "
        f"(rounds: {', '.join(f'{one.service:.1f}/{one.ceiling:.1f}' for one in load.rounds)})\n"
        f"CPU time per strip at saturation: {load.cpu_ms:.2f} ms ({by_stage}); "
        f"outside the session {_number(load.cpu_ms_outside_session, 2)} ms\n"
        f"added latency at low load: {_percentiles(load.low.report.added_latency)}; "
        f"the generator's lag: {_percentiles(load.low.report.lag)}"
    )


def _overload(results: Results) -> Iterable[str]:
    load = results.overload
    if load is None:
        return
    rows = [
        (name, *_measured(run), *_refused(run.report.refusal_latency))
        for name, run in (("before", load.before), ("twice", load.overloaded), ("after", load.after))
    ]
    yield (
        f"overload, X-Deadline-Ms {load.deadline_ms}\n"
        + _grid(("load", *_MEASURED, "refusal p50", "p99", "max"), rows)
        + f"\nreplies under overload: {_statuses(load.overloaded)}"
    )


def _tiny(results: Results) -> Iterable[str]:
    tiny = results.tiny
    if tiny is None:
        return
    rows = [
        (str(count), *_measured(run))
        for count, run in zip(tiny.requests, (tiny.early, tiny.late), strict=True)
    ]
    yield "tiny model: cost of a request\n" + _grid(("after requests", *_MEASURED), rows)


def _peers(results: Results) -> Iterable[str]:
    found = results.peers
    if found is None:
        return
    first, again = found.ours
    loads = [first, *found.others, again, found.multipart]
    rows = [_peer(load, found.our_throughput) for load in loads]
    head = (
        "server",
        "strips/s",
        "of ours",
        "p50",
        "p95",
        "p99 ms",
        "answered/sent",
        "server CPU ms",
        "RSS MB",
    )
    problems = [f"{load.name}: {load.problem}" for load in found.others if load.problem is not None]
    yield "\n".join(
        [f"servers at saturation, and at {found.rate:.1f} strips/s", _grid(head, rows), *problems]
    )


def _peer(load: PeerLoad, ours: float) -> Row:
    if load.saturated is None or load.half is None:
        return (load.name, "not measured", *[""] * 7)
    half = load.half.report
    return (
        load.name,
        f"{load.saturated.report.throughput:.1f}",
        f"{load.saturated.report.throughput / ours:.2f}",
        _number(half.latency.p50),
        _number(half.latency.p95),
        _number(half.latency.p99),
        f"{half.answered}/{half.sent}",
        _number(load.saturated.server_cpu_ms, 2),
        f"{load.saturated.rss_mb:.0f}",
    )


def _problems(results: Results) -> Iterable[str]:
    problems = [problem for run in results.runs for problem in run.report.problems]
    if problems:
        yield "first wrong answers and failures:\n" + "\n".join(problems[:10])


def check_table(checks: Sequence[Check]) -> str:
    """Format targets with their values."""
    verdicts = {True: "met", False: "MISSED", None: "not measured"}
    rows = [
        (
            check.name,
            f"{check.relation} {check.target:g} {check.unit}".rstrip(),
            _value(check.value),
            verdicts[check.passed],
            check.note,
        )
        for check in checks
    ]
    return _grid(("check", "target", "value", "", ""), rows)


_MEASURED = (
    "strips/s",
    "p50",
    "p95",
    "p99",
    "max ms",
    "answered",
    "refused",
    "failed",
    "wrong",
    "server CPU ms",
    "generator CPU ms",
    "RSS MB",
)


def _measured(run: LoadRun) -> Row:
    report = run.report
    return (
        f"{report.throughput:.1f}",
        _number(report.latency.p50),
        _number(report.latency.p95),
        _number(report.latency.p99),
        _number(report.latency.max),
        str(report.answered),
        str(report.refused),
        str(report.failed),
        str(report.wrong),
        _number(run.server_cpu_ms, 2),
        _number(run.generator_cpu_ms, 2),
        f"{run.rss_mb:.0f}",
    )


def _refused(latency: Latency) -> Row:
    return (_number(latency.p50), _number(latency.p99), _number(latency.max))


def _statuses(run: LoadRun) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(run.report.statuses.items()))


def _percentiles(latency: Latency) -> str:
    return f"p50 {_number(latency.p50, 2)}, p99 {_number(latency.p99, 2)} ms"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _value(value: float | None) -> str:
    """Format with three decimals below 10, one above, none for 0."""
    return "-" if value is None else f"{value:.3f}" if 0 < value < 10 else f"{value:.1f}" if value else "0"


def _grid(head: Row, rows: Sequence[Row]) -> str:
    """Align columns: the first and words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            is_text = column == 0 or any(one[column][:1].isalpha() for one in rows)
            cells.append(cell.ljust(width) if is_text else cell.rjust(width))
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)
