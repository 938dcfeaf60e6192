"""What runs in each worker process: one model, one part at a time."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from errno import ELOOP, ENAMETOOLONG, ENOTDIR
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import fs

from service.api.uploads import file_too_large
from service.errors import ServiceError
from service.inference.pipelines import run_jobs
from service.inference.prediction import Job, Output, Wanted
from service.model.metadata import OperatingPoint
from service.model.repository import checksum_file, gpu_variant
from service.model.session import KnownDevice, OrtSession, open_session
from steel_bulk.attempts import Tries
from steel_bulk.listing import Listing, where
from steel_bulk.locations import open_place
from steel_bulk.manifest import Manifest
from steel_bulk.parts import STRIPS, Report, write_part
from steel_bulk.rows import Row, UnreadableError, row, table
from steel_client.errors import SteelError

_AT_ONCE = 16
"""Strips that are read and answered together; as many again are being read meanwhile."""
_TRIES = 4
_PAUSE_SECONDS = 1.0
"""After the first failure to read; twice as long after each further one."""
_FOR_GOOD = (ENOTDIR, ENAMETOOLONG, ELOOP)
"""Of other errors than a file that is not there or may not be read, those that do not pass either."""

Loaded = bytes | ServiceError | UnreadableError


@dataclass(frozen=True)
class Work:
    """What a worker is told once."""

    root: str
    """Path or URI that listed names are relative to."""
    out: str
    manifest: Manifest
    point: OperatingPoint
    device: KnownDevice
    model_name: str
    """Of the model's file among the next."""
    model: dict[str, bytes]
    """The model's files by name: no other machine needs to hold them, and none is read from a folder that
    changes meanwhile."""


def pack_model(model: Path) -> dict[str, bytes]:
    """Read a model's files: its own, the one for GPUs if there is one beside it, and their checksums."""
    files = {model, gpu_variant(model)}
    return {one.name: one.read_bytes() for file in files for one in (file, checksum_file(file))}


class PartWorker:
    """Answers parts of an archive, as ``ray.data.Dataset.map_batches`` calls it.

    Args:
        work: what to do.

    Raises:
        ModelFileError: if the model cannot be trusted.
        DeviceError: if the wanted device does not work here.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._out = open_place(work.out)
        self._listing = Listing(self._out)
        self._tries = Tries(self._out)
        self._session = _open(work)
        self._wanted = Wanted(work.point, Output("rle"))
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reading")

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> dict[str, Any]:
        """Answer and write the parts of a batch, int64 ``part``; give a row of ``Report`` for each."""
        reports = [self.answer(int(part)) for part in batch["part"]]
        return {field: np.array([getattr(one, field) for one in reports]) for field in Report.__annotations__}

    def answer(self, part: int) -> Report:
        """Answer a part's strips and write them.

        Raises:
            OSError: if a strip cannot be read for now; nothing is written then.
            WorkerDiedError: if the part ended workers too often.
        """
        rows: list[Row] = []
        count = self._tries.begin(part)
        for names, loaded in self._loaded(self._listing.names(part)):
            self._tries.note(part, count, names)
            rows += self._answer(names, loaded)
        manifest = self._work.manifest
        report = write_part(self._out.below(STRIPS), part, table(rows, manifest.terms), manifest.run)
        self._tries.end(part)
        return report

    def _loaded(self, names: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Loaded]]]:
        """Read strips, a few at a time, the next ones while the caller is busy with those before."""
        before: list[Future[Loaded]] = []
        for start in range(0, len(names), _AT_ONCE):
            now = [self._threads.submit(self._load, name) for name in names[start : start + _AT_ONCE]]
            if before:
                yield names[start - _AT_ONCE : start], [one.result() for one in before]
            before = now
        yield names[-len(before) :], [one.result() for one in before]

    def _answer(self, names: Sequence[str], loaded: Sequence[Loaded]) -> Iterator[Row]:
        jobs = [Job(one, self._wanted) for one in loaded if isinstance(one, bytes)]
        answers = iter(run_jobs(self._session, jobs, self._work.manifest.terms.max_pixels))
        for name, one in zip(names, loaded, strict=True):
            result = next(answers) if isinstance(one, bytes) else one
            yield row(name, result, self._session.metadata)

    def _load(self, name: str) -> Loaded:
        most = self._work.manifest.terms.max_file_bytes
        for pause in (_PAUSE_SECONDS * 2**tries for tries in range(_TRIES - 1)):
            with contextlib.suppress(OSError):
                return _read(self._work.root, name, most)
            time.sleep(pause)
        return _read(self._work.root, name, most)


def _read(root: str, name: str, most: int) -> Loaded:
    """Read a strip.

    Raises:
        OSError: if that may go better later.
    """
    try:
        folder, at = where(root, name)
        place = _place(folder)
    except SteelError as error:  # no address at all
        return UnreadableError(f"cannot be read: {error}")
    try:
        with place.files.open_input_stream(place.at(at), compression=None) as file:
            data = bytes(file.read(most + 1))
    except (FileNotFoundError, PermissionError, pa.ArrowInvalid) as error:  # the last: no name for a file
        return UnreadableError(f"cannot be read: {error}")
    except OSError as error:
        # Arrow says of folders only that it cannot.
        if error.errno in _FOR_GOOD or place.below(at).kind() == fs.FileType.Directory:
            return UnreadableError(f"cannot be read: {error}")
        raise
    return data if len(data) <= most else file_too_large(most)


# A list may name strips in many folders; a bucket's connections are kept.
_place = lru_cache(maxsize=64)(open_place)


def _open(work: Work) -> OrtSession:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in work.model.items():
            (Path(folder) / name).write_bytes(data)
        return open_session(Path(folder) / work.model_name, device=work.device, threads=1)
