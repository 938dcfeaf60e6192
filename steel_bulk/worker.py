"""Worker process: one model, one part at a time."""

import contextlib
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from errno import ELOOP, ENAMETOOLONG, ENOTDIR
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from pyarrow import fs

from service.errors import ServiceError, file_too_large
from service.images.decode import read_size
from service.inference.prediction import ImageRules, Job, Prediction, PredictOptions, run_jobs
from service.model.loading import open_session
from service.model.metadata import OperatingPoint
from service.model.repository import checksum_file, gpu_variant
from service.model.session import KnownDevice, OrtSession
from steel_bulk.attempts import Attempts
from steel_bulk.listing import Listing, locate
from steel_bulk.locations import Location, open_location
from steel_bulk.manifest import Manifest
from steel_bulk.names import unescape
from steel_bulk.parts import STRIPS, PartReport, write_part
from steel_bulk.rows import Row, UnreadableError, make_row, make_table
from steel_client.errors import SteelError

_BATCH = 16
"""Files that are read together while others are predicted, and tiles that are predicted together."""
_ATTEMPTS = 4
_PAUSE_SECONDS = 1.0
"""After the first failed read; doubled after each further one."""
_PERMANENT = (ENOTDIR, ENAMETOOLONG, ELOOP)
"""Errors that no retry mends, besides a file that does not exist or may not be read."""

Loaded = bytes | ServiceError | UnreadableError


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration that every worker of a run receives once."""

    root: str
    """Path or URI of the folder that listed names are relative to."""
    out: str
    manifest: Manifest
    point: OperatingPoint
    device: KnownDevice
    model_name: str
    """Name of the model's file in ``model``."""
    model: dict[str, bytes]
    """The model's files by name: the other machines need not hold them, and a change of the folder during the
    run has no effect."""


def pack_model(model: Path) -> dict[str, bytes]:
    """Read a model's files: its own, the one for GPUs if it exists, and their checksums."""
    files = {model, gpu_variant(model)}
    return {one.name: one.read_bytes() for file in files for one in (file, checksum_file(file))}


class PartWorker:
    """Callable class for ``ray.data.Dataset.map_batches`` that predicts and writes parts.

    Args:
        config: of the run.

    Raises:
        ModelFileError: if the model's file is broken.
        DeviceError: if the device does not work here.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._out = open_location(config.out)
        self._listing = Listing(self._out)
        self._attempts = Attempts(self._out)
        self._session = _open_model(config)
        spec = config.manifest.spec
        bits = int(spec.bits) if spec.bits else None
        self._options = PredictOptions(config.point, "rle", bits=bits, pad=bool(spec.pad))
        self._rules = ImageRules.of(
            self._session.metadata, max_pixels=spec.max_pixels, check_health=spec.health != "off"
        )
        self._threads = ThreadPoolExecutor(_BATCH, thread_name_prefix="reading")

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> dict[str, Any]:
        """Predict and write the parts of a batch, int64 ``part``; return a row of ``PartReport`` for each."""
        reports = [self.predict(int(part)) for part in batch["part"]]
        fields = PartReport.__annotations__
        return {field: np.array([getattr(report, field) for report in reports]) for field in fields}

    def predict(self, part: int) -> PartReport:
        """Predict a part's strips and write the rows.

        Raises:
            OSError: if a strip cannot be read after all retries; nothing is written then.
            WorkerDiedError: if the part crashed too many workers.
        """
        rows: list[Row] = []
        count = self._attempts.begin(part)
        for names, loaded in self._load_batches(self._listing.names(part)):
            self._attempts.record(part, count, names)
            rows += self._predict_batch(names, loaded)
        manifest = self._config.manifest
        table = make_table(rows, manifest.spec, self._session.metadata.classes)
        report = write_part(self._out.subfolder(STRIPS), part, table, manifest.run)
        self._attempts.end(part)
        return report

    def _load_batches(self, names: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Loaded]]]:
        """Read strips in batches, one batch ahead of the caller."""
        before: list[Future[Loaded]] = []
        for start in range(0, len(names), _BATCH):
            now = [self._threads.submit(self._load, name) for name in names[start : start + _BATCH]]
            if before:
                yield names[start - _BATCH : start], [future.result() for future in before]
            before = now
        yield names[-len(before) :], [future.result() for future in before]

    def _predict_batch(self, names: Sequence[str], loaded: Sequence[Loaded]) -> Iterator[Row]:
        jobs = [Job(data, self._options) for data in loaded if isinstance(data, bytes)]
        predictions = self._predict_jobs(jobs)
        for name, data in zip(names, loaded, strict=True):
            result = next(predictions) if isinstance(data, bytes) else data
            yield make_row(name, result, self._session.metadata)

    def _predict_jobs(self, jobs: Sequence[Job]) -> Iterator[Prediction | ServiceError]:
        """Predict strips together and frames of many tiles one after the other, which bounds memory."""
        some: list[Job] = []
        tiles = 0
        for job in jobs:
            more = self._rules.places(read_size(job.data))
            if some and tiles + more > _BATCH:
                yield from run_jobs(self._session, some, self._rules)
                some, tiles = [], 0
            some.append(job)
            tiles += more
        if some:
            yield from run_jobs(self._session, some, self._rules)

    def _load(self, name: str) -> Loaded:
        """Read a strip; retry, with growing pauses, after an OSError."""
        most = self._config.manifest.spec.max_file_bytes
        for pause in (_PAUSE_SECONDS * 2**number for number in range(_ATTEMPTS - 1)):
            with contextlib.suppress(OSError):
                return _read(self._config.root, name, most)
            time.sleep(pause)
        return _read(self._config.root, name, most)


def _read(root: str, name: str, most: int) -> Loaded:
    """Read a strip.

    Raises:
        OSError: if a retry may succeed.
    """
    try:
        folder, file_name = locate(root, name)
        location = _cached_location(folder)
    except SteelError as error:  # not a path or URI
        return UnreadableError(f"cannot be read: {error}")
    try:
        with _open(location, file_name) as file:
            data = bytes(file.read(most + 1))
    except (FileNotFoundError, PermissionError, ValueError) as error:  # the last: not a file name
        return UnreadableError(f"cannot be read: {error}")
    except OSError as error:
        # In a bucket, Arrow's error for a folder has no number.
        if error.errno in _PERMANENT or location.subfolder(file_name).kind() == fs.FileType.Directory:
            return UnreadableError(f"cannot be read: {error}")
        raise
    except UnreadableError as error:
        return UnreadableError(f"cannot be read: {error}")
    return data if len(data) <= most else file_too_large(most)


def _open(location: Location, name: str) -> IO[bytes] | Any:
    """Open a strip.

    Raises:
        UnreadableError: if it is something that a read may wait for without end, such as a FIFO.
    """
    if not location.local:
        return location.files.open_input_stream(location.path_of(name), compression=None)
    path = Path(location.path_of(name))
    if not path.exists():
        path = Path(unescape(str(path)))
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableError("it is not a regular file")
    return path.open("rb")


# A list may name strips in many folders; the connections to a bucket are reused.
_cached_location = lru_cache(maxsize=64)(open_location)


def _open_model(config: WorkerConfig) -> OrtSession:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in config.model.items():
            (Path(folder) / name).write_bytes(data)
        return open_session(Path(folder) / config.model_name, device=config.device, threads=1)
