"""``python -m bench.chaos``: load, bad files, disconnects, reloads and kills at once.

An open loop sends strips to the tiny model; some clients disconnect early, some files are bad. The model is
reloaded periodically, to a version that answers differently or to an invalid one. The process is killed twice
and restarted by a supervisor. Only requests in flight at a kill may be lost.
"""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from bench.chaos_checks import Life, Record, table, violations
from bench.chaos_clients import Clients, Strip
from bench.chaos_service import KEY, Models, SupervisedService
from bench.connections import Connections
from bench.schedule import poisson_schedule
from bench.tiny import tiny_files
from bench.workload import build_jobs
from service.model.session import OrtSession

_STRIPS = 20


@dataclass(frozen=True)
class ChaosConfig:
    """Disturb the service under load and count."""

    minutes: float = 10.0
    """Duration."""
    rate: float = 60.0
    """Arrivals per second."""
    reload_seconds: float = 20.0
    """Seconds between reloads; every third loads a bad model."""
    kills: int = 2
    """Number of kills of the process."""
    deadline_ms: int = 5000
    """Deadline of every request."""
    seed: int = 0
    """Seed of arrivals and clients."""


async def run(config: ChaosConfig, folder: Path) -> Record:
    """Run the chaos and return its record."""
    models = Models(folder / "tiny")
    strips = _strips(models)
    seconds = 60 * config.minutes
    async with SupervisedService(models, folder / "service.log") as service:
        async with Connections(service.url, timeout=30) as connections:
            clients = Clients(
                connections, service.url, KEY, config.deadline_ms, strips, lambda: service.life, config.seed
            )
            record = Record(config.deadline_ms, clients.outcomes)
            start = time.perf_counter()
            disturbing = asyncio.create_task(_disturb(config, start, service, models, clients, record))
            running: set[asyncio.Task[None]] = set()

            async def one() -> None:
                await clients.send_request()
                record.ended.append(time.perf_counter())

            for due in poisson_schedule(config.rate, seconds, config.seed):
                await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
                record.lag = max(record.lag, time.perf_counter() - start - due)
                task = asyncio.create_task(one())
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.gather(disturbing, *running)
            record.lives.append(Life(await service.settled_counters()))
        code = await service.stop()
        if code != 0:
            record.problems.append(f"the service ended with code {code} after SIGTERM")
        if len(service.exit_codes) != config.kills + 1:
            record.problems.append(f"the service ended by itself: exit codes {service.exit_codes}")
    return record


async def _disturb(
    config: ChaosConfig,
    start: float,
    service: SupervisedService,
    models: Models,
    clients: Clients,
    record: Record,
) -> None:
    """Reload and kill at the planned times."""
    seconds = 60 * config.minutes
    reloads = int(seconds / config.reload_seconds - 1e-9)
    plan = [(number * config.reload_seconds, "reload") for number in range(1, reloads + 1)]
    plan += [((number + 0.5) * seconds / (config.kills + 0.5), "kill") for number in range(config.kills)]
    done = 0
    for due, what in sorted(plan):
        await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
        if what == "kill":
            open_before, sent_before = clients.open, clients.sent
            counters = await service.counters()
            life, died = service.life, time.perf_counter()
            service.kill()
            # The counters may not include these requests.
            record.lives.append(Life(counters, open_before + clients.sent - sent_before))
            await service.next_life(life)
            record.kills.append((died, time.perf_counter()))
        else:
            done += 1
            await _reload(done, service, models, record)


async def _reload(number: int, service: SupervisedService, models: Models, record: Record) -> None:
    if number % 3 == 0:
        bad = models.add_bad(number // 3)
        status, body = await service.reload()
        shutil.rmtree(bad.parent)  # or the next process would not start
        record.reloads["bad model refused" if status == 422 else f"bad model: {status}"] += 1
        if status != 422:
            record.problems.append(f"reload of a bad model: expected status 422, got {status}: {body}")
        return
    models.add_good()
    status, body = await service.reload()
    right = status == 200 and body["changed"] is True
    record.reloads["switched" if right else f"good model: {status}"] += 1
    if not right:
        record.problems.append(
            f"reload to version {models.version}: expected a change with status 200, got {status}: {body}"
        )


def _strips(models: Models) -> list[Strip]:
    """Draw strips and compute the answer of each kind of model."""
    files = tiny_files(_STRIPS)
    even, odd = (
        [job.answer for job in build_jobs(files, OrtSession(models.write(version), threads=1))]
        for version in (0, 1)
    )
    shutil.rmtree(models.folder / "0")
    if even == odd:
        raise AssertionError("the two kinds of model give the same answers")
    return [Strip(data, (one, other)) for data, one, other in zip(files, even, odd, strict=True)]


def main() -> int:
    """Run as configured; return 1 if there are violations."""
    config = tyro.cli(ChaosConfig, description=__doc__)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        record = asyncio.run(run(config, Path(folder)))
    print(table(record))
    found = violations(record)
    print(f"\n{len(found)} violations")
    for text in found[:20]:
        print(f"  {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
