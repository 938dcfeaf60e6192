"""``python -m bench``: measure, print a table, write bench.json and bench.png."""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import tyro

from bench.ceilings import measure_ceilings, open_ceiling
from bench.checks import evaluate_checks
from bench.context import BenchContext
from bench.jobs import Job, write_jobs
from bench.machine import describe_machine, stolen_seconds
from bench.model_speed import measure_model, thread_counts
from bench.options import Options, choose_lengths
from bench.overload import measure_overload
from bench.peer_servers import measure_peers, peers
from bench.plot import plot
from bench.results import Models, Results, Strips, write_json
from bench.service_load import measure_service
from bench.table import table
from bench.tiny import measure_tiny
from bench.workload import build_jobs, clean_jobs, image_files
from model_export.errors import DataError
from service.errors import ModelFileError
from service.model.repository import find_model
from service.model.session import OrtSession
from tests.support.serving import StartError


def main() -> int:
    """Run the benchmark; return 1 if any answer was wrong. Missed targets are only printed."""
    options = tyro.cli(Options, prog="python -m bench")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            results = run(options, Path(folder))
    except (DataError, ModelFileError, StartError, ValueError) as error:
        sys.exit(f"error: {error}")
    checks = evaluate_checks(results)
    print(table(results, checks))
    write_json(results, checks, options.out / "bench.json")
    plot(results, options.out / "bench.png")
    if results.wrong:
        print(f"{results.wrong} answers were wrong", file=sys.stderr)
    return 1 if results.wrong else 0


def run(options: Options, folder: Path) -> Results:
    """Measure the selected sections.

    Args:
        options: options of the command line.
        folder: for temporary files.
    """
    started, stolen = time.monotonic(), stolen_seconds()
    model = find_model(options.model)
    machine = describe_machine(model, options.peer_envs)
    _say("computing the expected answers")
    files = image_files(options.data, options.strips)
    session = OrtSession(model, device="cpu")
    jobs = build_jobs(files, session)
    write_jobs(jobs, folder / "jobs")
    options.out.mkdir(parents=True, exist_ok=True)
    times = choose_lengths(options.quick)
    context = BenchContext(model, jobs, folder / "jobs", options.out, times)
    results = Results(
        machine=machine,
        strips=Strips(
            source="drawn" if options.data is None else "photographed",
            count=len(jobs),
            defective=sum(job.defective for job in jobs),
            mean_bytes=sum(len(data) for data in files) / len(files),
        ),
        quick=options.quick,
    )
    if "model" in options.only:
        results.model = _measure_models(context, clean_jobs(jobs, options.data, session))
    with ExitStack() as stack:
        if "ceilings" in options.only or "service" in options.only:
            _say("ceilings")
            ceiling = stack.enter_context(open_ceiling(model, context.jobs_folder))
            results.ceilings = measure_ceilings(ceiling, times.rounds, times.ceiling_seconds)
            if "service" in options.only:
                _say("the service")
                results.service = measure_service(context, ceiling, results.ceilings.best_setting)
    if "overload" in options.only:
        _say("overload")
        results.overload = measure_overload(context, options.deadline_ms)
    if "tiny" in options.only:
        _say("the tiny model")
        results.tiny = measure_tiny(folder / "tiny", context.logs, times)
    if "peers" in options.only:
        _say("peers")
        results.peers = measure_peers(context, options.peer_envs, peers())
    results.seconds = time.monotonic() - started
    results.stolen_seconds = stolen_seconds() - stolen
    return results


def _measure_models(context: BenchContext, clean: list[Job]) -> Models:
    _say("the model and the textbook network")
    defective = [job for job in context.jobs if job.defective]
    if not defective:
        raise ValueError("expected strips with defects, but the model finds none; name others with --data")
    textbook = context.out / "textbook.onnx"
    speeds = [
        measure_model(context.model, textbook, defective, clean, threads, context.lengths.model_rounds)
        for threads in thread_counts()
    ]
    return Models(speeds, clean_passed=clean[0].passed)


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
