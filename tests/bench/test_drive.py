"""The generator as a process of its own, against the service."""

import dataclasses
import json
from pathlib import Path

import pytest

from bench.drive import drive, read_report
from bench.generator import Report
from bench.jobs import write_jobs
from bench.latency import summarize_latencies
from bench.our_service import running_service, scrape, subtract
from bench.tiny import tiny_files
from bench.workload import build_jobs
from service.model.session import OrtSession

pytestmark = pytest.mark.slow


def test_the_generator_as_a_process_checks_the_service(tmp_path: Path, tiny_model: Path) -> None:
    jobs = build_jobs(tiny_files(4), OrtSession(tiny_model, device="cpu", threads=1))
    write_jobs(jobs, tmp_path / "right")
    present, code = jobs[1].answer[0]
    first, rest = code.split(" ", 1)
    moved = ((present, f"{int(first) + 1} {rest}"), *jobs[1].answer[1:])
    write_jobs([jobs[0], dataclasses.replace(jobs[1], answer=moved)], tmp_path / "moved")

    with running_service(tiny_model, tmp_path, jobs[1]) as server:
        before = scrape(server)
        right = drive(server, tmp_path / "right", connections=2, seconds=1.0, warm_up=0.2)
        inside = subtract(before, scrape(server))
        assert right.report.answered > 0
        assert right.report.wrong == right.report.failed == right.report.refused == 0
        assert right.report.added_latency.count == right.report.answered
        assert right.server_cpu_ms is not None
        assert right.server_cpu_ms > 0
        assert right.rss_mb > 20
        assert sum(inside.batch_sizes.values()) > 0

        wrong = drive(server, tmp_path / "moved", connections=1, requests=4, warm_up=0)
        assert wrong.report.wrong == 2
        assert wrong.report.all_answered == 2
        assert "class 1" in wrong.report.problems[0]


def test_a_report_survives_its_json() -> None:
    latency = summarize_latencies([0.1])
    none = summarize_latencies([])
    report = Report(1.0, 1, 1, 0, 0, 0, 1, {"200": 1}, 1.0, latency, none, latency, latency, 0.1, [])
    assert read_report(json.loads(json.dumps(dataclasses.asdict(report)))) == report
