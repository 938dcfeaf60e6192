"""``steel watch``: images as a camera writes them."""

import asyncio
import contextlib
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from steel_cli import interrupts
from steel_cli.answer import Answer, Strip, printable
from steel_cli.connect import check_options, check_profile, open_client
from steel_cli.images import check_folder
from steel_cli.journal import Journal
from steel_cli.options import Common
from steel_cli.patience import PatientClient
from steel_cli.pictures import Pictures
from steel_cli.recall import recall
from steel_cli.run_file import RunSpec
from steel_cli.scanner import Scanner, is_unfinished
from steel_client.errors import ConfigurationError

PICTURES = "pictures"

_MOST_BYTES = 512 * 1024 * 1024
"""Of versions in memory that wait for the service; more stay on the disk, where they may be overwritten."""
_SCAN_BYTES = 16 * 1024 * 1024
"""Of versions that one scan reads, so that the first ones are sent before the last ones are read."""
_RETRIES = 2
"""Of the client, before this command says that it waits."""


@dataclass(frozen=True)
class WatchConfig(Common):
    """Find the defects on images as a camera writes them into a folder, until stopped with Ctrl+C.

    A service that is away is waited for. Each version of a file is answered once.
    """

    pictures: bool = False
    """Draw the masks on each image that has a defect."""
    interval: float = 0.5
    """Seconds between two scans of the folder. A file is complete if it did not change between two."""
    settle: float = 10.0
    """Seconds without a change after which a file that ends in zeros is complete, and a refusal final."""


def watch(config: WatchConfig) -> int:
    """Predict files as they arrive, until interrupted; return 0.

    Raises:
        SteelError: if the folder or the model is not there, a parameter is wrong, or the journal cannot be
            continued.
    """
    check_options(config)
    if not (config.interval > 0 and config.settle >= 0):
        raise ConfigurationError("expected --interval above 0 and --settle of at least 0")
    check_folder(config.folder)
    with contextlib.suppress(KeyboardInterrupt):
        interrupts.run(_watch(config, config.folder.resolve()))
    return 0


async def _watch(config: WatchConfig, folder: Path) -> None:
    scanner = Scanner(folder, config.out, interval=config.interval, settle=config.settle, say=_say)
    try:
        async with open_client(config, _RETRIES) as client, asyncio.TaskGroup() as tasks:
            patient = PatientClient(client, _say, returns=config.server is not None)
            watcher = _Watcher(patient, scanner)
            # From the start on: versions may be overwritten while the service is not there yet.
            tasks.create_task(watcher.scan(config.interval))
            model = await patient.call(client.model)
            check_profile(config, model)
            spec = RunSpec(
                command="watch",
                folder=str(folder),
                profile=config.profile,
                bits=config.bits,
                pad=config.pad,
                classes=[one.model_dump() for one in model.classes],
                model=None,
            )
            with Journal(config.out, spec, restart=config.restart) as journal:
                pictures = Pictures(config.out / PICTURES, config.bits, _say) if config.pictures else None
                await watcher.predict(_Results(journal, pictures, spec), config.concurrency)
    except ExceptionGroup as group:  # of the tasks; the first one that fails ends the others
        raise _first(group) from None


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


class _Results:
    """What a run writes.

    Args:
        journal: of the run.
        pictures: None if none are drawn.
        spec: of the run.
    """

    def __init__(self, journal: Journal, pictures: Pictures | None, spec: RunSpec) -> None:
        self._journal = journal
        self._pictures = pictures
        self._classes = spec.classes
        self._before: Strip | None = None

    def hold(self, strip: Strip) -> bool:
        """Return whether the last line of the file answers this version."""
        return self._journal.holds(strip.name, strip.sha256)

    def complete(self, strip: Strip) -> None:
        """Write the picture of an answered version if it is missing."""
        if self._pictures is not None:
            self._pictures.complete(recall(strip, self._journal.read(strip.name)))

    def save(self, answer: Answer) -> None:
        """Save an answer: the picture first, so that a line in the journal means that both are there.

        Raises:
            ConfigurationError: if the service has a model of other classes now.
        """
        self._check_classes(answer)
        if self._pictures is not None:
            self._pictures.save(answer)
        self._journal.add(answer)
        print(answer.summary() + self._repetition(answer.strip), flush=True)

    def _check_classes(self, answer: Answer) -> None:
        found = answer.image.classes if answer.image is not None else []
        classes = [{"id": one.result.class_id, "name": one.result.name} for one in found]
        if classes and classes != self._classes:
            raise ConfigurationError(
                "the service changed to a model of other classes; use another --out, or --restart"
            )

    def _repetition(self, strip: Strip) -> str:
        """Return words for a file that equals the one before: a frozen camera writes nothing else."""
        before, self._before = self._before, strip
        if before is None or before.name == strip.name or before.sha256 != strip.sha256:
            return ""
        return f" (the same picture as {printable(before.name)})"


class _Watcher:
    """Versions on their way from the folder to the journal; those of one file one after the other.

    Args:
        client: of the service.
        scanner: of the folder.
    """

    def __init__(self, client: PatientClient, scanner: Scanner) -> None:
        self._client = client
        self._scanner = scanner
        self._results: _Results | None = None
        self._waiting: dict[str, deque[Strip]] = {}
        self._names: asyncio.Queue[str] = asyncio.Queue()
        """Of files with a version that no task predicts yet."""
        self._bytes = 0
        self._refused: dict[str, Answer] = {}
        """Refusals that are not final: the file may be copied still."""

    async def scan(self, interval: float) -> None:
        """Scan the folder again and again."""
        while True:
            most = min(_SCAN_BYTES, _MOST_BYTES - self._bytes)
            for strip in await asyncio.to_thread(self._scanner.scan, most):
                self._bytes += len(strip.data)
                if strip.name not in self._waiting:
                    self._waiting[strip.name] = deque()
                    self._names.put_nowait(strip.name)
                self._waiting[strip.name].append(strip)
            if self._results is not None:
                self._save_refusals(self._results)
            await asyncio.sleep(interval)

    async def predict(self, results: _Results, concurrency: int) -> None:
        """Predict versions as they come."""
        self._results = results
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(self._predict(results))

    async def _predict(self, results: _Results) -> None:
        while True:
            name = await self._names.get()
            versions = self._waiting[name]
            if results.hold(versions[0]):
                results.complete(versions[0])
            else:
                self._take(await self._client.predict(versions[0]), results)
            self._bytes -= len(versions.popleft().data)
            if versions:
                self._names.put_nowait(name)
            else:
                del self._waiting[name]

    def _take(self, answer: Answer, results: _Results) -> None:
        """Save an answer, or keep a refusal until the file does not change any more."""
        name = answer.strip.name
        earlier = self._refused.pop(name, None)
        if earlier is not None and not is_unfinished(earlier.strip, answer.strip):
            results.save(earlier)
        if answer.error is None:
            results.save(answer)
        else:
            self._refused[name] = answer

    def _save_refusals(self, results: _Results) -> None:
        for name in list(self._refused):
            if name not in self._waiting and self._scanner.is_settled(name):
                results.save(self._refused.pop(name))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
