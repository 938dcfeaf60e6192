"""``python -m bench.bulk``: ``steel bulk`` on a large archive, killed twice; then one worker and two.

The archive holds 200 drawn strips, each written many times with its own comment, so that all files differ.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pyarrow.parquet as pq
import tyro

from bench.machine import describe_machine
from model_export.data.synthetic import drawn_strips
from service.app import create_app
from service.model.repository import find_model
from service.observability.logs import configure_logs
from service.settings import Settings
from steel_bulk.config import BulkConfig
from tests.support.serving import ROOT, running_app, service_environment

Section = Literal["kills", "speed"]

_PART = BulkConfig.strips_per_part
_SPEED_PART = 8
"""Strips per part while speed is measured: few, so that the first and the last part count little."""
_DISTINCT = 200
_SAMPLE_SECONDS = 4.0
_COMPARED = 100


@dataclass(frozen=True)
class Options:
    """Run `steel bulk` on an archive under kills, and measure the gain of a second worker."""

    out: Path = Path("runs/bulk-proof")
    """Folder for the archive, the runs' output and bulk-*.json."""
    model: Path = Path("models/steel-unet-resnet18-fast")
    """The model."""
    strips: int = 20_000
    """Strips in the archive."""
    kills: tuple[float, ...] = (0.3, 0.6)
    """Shares of the parts after which all processes of the run get SIGKILL."""
    speed_strips: int = 800
    """Strips per measurement of one worker and of two."""
    rounds: int = 3
    """Rounds of one worker and two, in turn."""
    only: tuple[Section, ...] = ("kills", "speed")
    """Sections to run."""


@dataclass
class Run:
    """One run of the command."""

    seconds: float = 0.0
    killed: bool = False
    parts_before: int = 0
    parts_after: int = 0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and the proportional set size (PSS) of all processes together."""

    def steady(self) -> list[float]:
        """Return memory after the first minute, when all workers are up."""
        return [mb for at, mb in self.memory_mb if at > 60]


def write_archive(folder: Path, strips: int) -> None:
    """Write JPEGs, 1,000 per folder."""
    from PIL import Image

    from tests.support.images import encoded

    if len(list(folder.rglob("*.jpg"))) == strips:
        return
    drawn = [
        encoded(Image.fromarray(one.load()[0]), "JPEG", quality=85) for one in drawn_strips(_DISTINCT, 1)
    ]
    for number in range(strips):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = f"strip {number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        jpeg = drawn[number % _DISTINCT]
        path.write_bytes(jpeg[:2] + segment + jpeg[2:])


def start(options: Options, *arguments: object, log: Path) -> subprocess.Popen[bytes]:
    """Start the command; its output goes to a file."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "steel_cli", "bulk", *map(str, arguments)],
            cwd=ROOT,
            env=service_environment(options.model.resolve()),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the process of a run and its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    return []


def memory_mb(processes: Sequence[psutil.Process]) -> float:
    """Return the proportional set size (PSS) of processes in MB."""
    total = 0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += one.memory_full_info().pss
    return total / 1e6


def parts_of(out: Path) -> list[Path]:
    """Return the parts of a run."""
    return sorted((out / "strips").glob("*.parquet"))


def run_command(options: Options, archive: Path, out: Path, kill_at: int | None) -> Run:
    """Run the command to its end, or until ``kill_at`` parts exist and all its processes get SIGKILL."""
    finished = Run(parts_before=len(parts_of(out)))
    begun = time.monotonic()
    process = start(options, archive, "--out", out, log=options.out / "bulk.log")
    sampled = 0.0
    while process.poll() is None:
        now = time.monotonic() - begun
        if now - sampled >= _SAMPLE_SECONDS:
            sampled = now
            finished.memory_mb.append((round(now, 1), round(memory_mb(tree(process)), 1)))
        if kill_at is not None and len(parts_of(out)) >= kill_at:
            for one in tree(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()
            finished.killed = True
        time.sleep(0.2)
    if not finished.killed and process.returncode != 0:
        raise SystemExit(f"the run ended with {process.returncode}; see {options.out / 'bulk.log'}")
    finished.seconds = round(time.monotonic() - begun, 1)
    finished.parts_after = len(parts_of(out))
    return finished


def count(archive: Path, out: Path, strips: int) -> dict[str, int]:
    """Count rows and distinct values; exit unless there is exactly one row per strip."""
    columns = pq.read_table(out / "strips", columns=["file", "sha256", "status"]).to_pydict()
    expected = {path.relative_to(archive).as_posix() for path in archive.rglob("*.jpg")}
    counted = {
        "rows": len(columns["file"]),
        "distinct_files": len(set(columns["file"])),
        "distinct_sha256": len(set(columns["sha256"])),
        "answered": columns["status"].count(200),
        "files_without_a_row": len(expected - set(columns["file"])),
    }
    if list(counted.values()) != [strips, strips, strips, strips, 0]:
        raise SystemExit(f"expected one row per strip, got {counted}")
    return counted


async def compare(options: Options, archive: Path, out: Path) -> int:
    """Send some strips to /predict; return how many answers differ from the run's rows."""
    rows: list[dict[str, Any]] = pq.read_table(out / "strips").to_pylist()
    different = 0
    configure_logs("error")
    settings = Settings(model=options.model, device="cpu")
    async with running_app(create_app(settings)) as client:
        for row in random.Random(1).sample(rows, min(_COMPARED, len(rows))):
            response = await client.post("/predict", content=(archive / row["file"]).read_bytes())
            (image,) = response.json()["images"]
            fields = ("sha256", "width", "height", "defect", "defect_probability")
            same = all(row[name] == image[name] for name in fields) and all(
                row[f"{name}_{one['class_id']}"] == one[name]
                for one in image["classes"]
                for name in ("present", "probability", "area", "rle")
            )
            different += not same
    return different


def cpu_seconds(processes: Sequence[psutil.Process]) -> tuple[float, float]:
    """Return the CPU seconds of the workers and of all processes."""
    workers = everything = 0.0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = one.cpu_times()
            everything += times.user + times.system
            if "MapWorker" in " ".join(one.cmdline()):
                workers += times.user + times.system
    return workers, everything


def speed(options: Options, archive: Path, workers: int, number: int) -> dict[str, float]:
    """Measure the speed with a number of workers.

    Returns:
        Strips per second between the times at which 10 % and 90 % of the parts were written; the processors
        that workers and other processes used then, fewer than they could use on a busy machine; and the
        seconds of the whole command.
    """
    out = options.out / f"speed-{number}-{workers}"
    listed = options.out / "speed.txt"
    names = sorted(archive.rglob("*.jpg"))[: options.speed_strips]
    listed.write_text("".join(f"{name.resolve()}\n" for name in names))
    samples: list[tuple[float, float, float]] = []
    begun = time.monotonic()
    process = start(
        options,
        *(listed, "--out", out, "--workers", workers, "--strips-per-part", _SPEED_PART, "--restart"),
        log=options.out / "speed.log",
    )
    while process.poll() is None:
        samples.append((time.time(), *cpu_seconds(tree(process))))
        time.sleep(0.5)
    if process.returncode != 0:
        raise SystemExit(f"a run ended with {process.returncode}; see {options.out / 'speed.log'}")
    seconds = time.monotonic() - begun
    written = sorted(part.stat().st_mtime_ns / 1e9 for part in parts_of(out))
    first, last = len(written) // 10, len(written) * 9 // 10
    window = written[last] - written[first]
    at, by_workers, by_all = np.array(samples).T
    used, total = (
        np.interp(written[last], at, one) - np.interp(written[first], at, one) for one in (by_workers, by_all)
    )
    strips = _SPEED_PART * (last - first)
    return {
        "strips_per_second": round(strips / window, 2),
        "worker_processors": round(float(used) / window, 2),
        "other_processors": round(float(total - used) / window, 2),
        "worker_ms_per_strip": round(1000 * float(used) / strips, 2),
        "command_seconds": round(seconds, 1),
    }


def speeds(options: Options, archive: Path) -> Iterator[dict[str, Any]]:
    """Measure one worker and two in turn, in alternating order."""
    for number in range(options.rounds):
        order = (1, 2) if number % 2 == 0 else (2, 1)
        found = {workers: speed(options, archive, workers, number) for workers in order}
        ratio = found[2]["strips_per_second"] / found[1]["strips_per_second"]
        yield {"one": found[1], "two": found[2], "ratio": round(ratio, 3), "load": os.getloadavg()[0]}


def prove(options: Options, archive: Path) -> dict[str, Any]:
    """Run on the archive under kills, then count rows and compare answers.

    Returns:
        The report, as JSON values.
    """
    out = options.out / "answers"
    if parts_of(out):
        raise SystemExit(f"{out} exists; remove it")
    parts = -(-options.strips // _PART)
    runs = [run_command(options, archive, out, round(share * parts)) for share in options.kills]
    runs.append(run_command(options, archive, out, None))
    report = {
        "runs": [dataclasses.asdict(finished) for finished in runs],
        "counted": count(archive, out, options.strips),
        "compared": _COMPARED,
        "different_answers": asyncio.run(compare(options, archive, out)),
    }
    for finished in runs:
        steady = finished.steady()
        quarter = max(1, len(steady) // 4)
        if steady:
            print(
                f"{finished.seconds} s, parts {finished.parts_before} to {finished.parts_after}, "
                f"killed: {finished.killed}; "
                f"MB in the first quarter {statistics.median(steady[:quarter]):.0f}, in the last "
                f"{statistics.median(steady[-quarter:]):.0f}, at most {max(steady):.0f}"
            )
    print(json.dumps({name: report[name] for name in ("counted", "compared", "different_answers")}))
    return report


def main() -> None:
    """Run the selected sections and print their results."""
    options = tyro.cli(Options)
    archive = options.out / "archive"
    write_archive(archive, options.strips)
    machine = describe_machine(find_model(options.model), Path(".venv-peers"))
    report: dict[str, Any] = {"machine": dataclasses.asdict(machine)}
    if "kills" in options.only:
        report |= prove(options, archive)
    if "speed" in options.only:
        report["speeds"] = []
        for one in speeds(options, archive):
            print(json.dumps(one), flush=True)
            report["speeds"].append(one)
        ratio = statistics.median(one["ratio"] for one in report["speeds"])
        print(f"two workers: {ratio:.2f} times one (median)")
    (options.out / f"bulk-{'-'.join(options.only)}.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
