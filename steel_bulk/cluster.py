"""Parts on Ray Data: a part that is lost with its worker is given to another one."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence

# Read when Ray is imported: no usage reports to its makers; its log stays in its files.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray.data
from ray.exceptions import RayError

from service.model.cpu_quota import cpu_quota
from service.model.session import CPU_DEVICES
from steel_bulk.parts import PartReport
from steel_bulk.worker import PartWorker, WorkerConfig
from steel_client.errors import SteelError

_OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""For the model and the numbers of the parts; strips never pass through the object store."""
_CONNECT_SECONDS = 10.0


def predict_parts(
    config: WorkerConfig, parts: Sequence[int], *, workers: int | None, address: str | None
) -> Iterator[PartReport]:
    """Predict parts on this machine or on a cluster; yield reports as parts finish.

    Args:
        config: of each worker.
        parts: numbers of the parts.
        workers: number of processes; None takes one per processor or GPU.
        address: of a cluster; None starts Ray on this machine until all parts are done.

    Raises:
        SteelError: if there is no such cluster, or a part fails.
    """
    on_gpus = config.device not in CPU_DEVICES
    _start(address, workers or cpu_quota())
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray has no type for it
        size = workers or int(resources.get("GPU" if on_gpus else "CPU", 1))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # A task receives only the number of a part; with one block per part a free worker takes the next.
        numbers = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
        reports = numbers.map_batches(
            PartWorker,
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=min(size, len(parts))),
            fn_constructor_args=(config,),
            num_cpus=1,
            num_gpus=1 if on_gpus else None,
        )
        for row in reports.iter_rows():
            yield PartReport(**{field: int(row[field]) for field in PartReport.__annotations__})
    except RayError as error:
        raise SteelError(f"a part failed: {_cause(error)}") from error
    finally:
        ray.shutdown()


def _start(address: str | None, processors: int) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address is not None:
        _check_listens(address)
    try:
        with _no_stderr():
            if address is None:
                ray.init(
                    "local",  # not a cluster that happens to run here
                    num_cpus=processors,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            else:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RayError, ValueError) as error:
        raise SteelError(f"there is no Ray at {address or 'this machine'}: {error}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _check_listens(address: str) -> None:
    """Check within seconds that a server listens; Ray alone would take minutes to fail.

    Raises:
        SteelError: if nothing listens at HOST:PORT; addresses of another form are left to Ray.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise SteelError(f"there is no Ray at {address}: {error}") from error


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence the line that Ray's C++ core prints into the progress bar."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _cause(error: BaseException) -> str:
    """Return the last line of a worker's traceback."""
    return str(error).strip().splitlines()[-1]
