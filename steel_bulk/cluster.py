"""Ray Data: parts in, reports out; what is lost with a worker is done again by another."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence

# Read when Ray is imported: nothing is told to its makers, and its log stays in its files.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray.data
from ray.exceptions import RayError

from service.model.cpu_quota import cpu_quota
from service.model.session import ON_PROCESSORS
from steel_bulk.parts import Report
from steel_bulk.worker import PartWorker, Work
from steel_client.errors import SteelError

_OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Holds the model and the numbers of the parts; strips never go through it."""
_CONNECT_SECONDS = 10.0


def answer_parts(
    work: Work, parts: Sequence[int], *, workers: int | None, address: str | None
) -> Iterator[Report]:
    """Answer parts on this machine or on a cluster; yield reports as they come.

    Args:
        work: what the workers are told.
        parts: to answer.
        workers: processes; None takes one for each processor or GPU.
        address: of a cluster; None starts Ray on this machine for as long as it takes.

    Raises:
        SteelError: if there is no such cluster, or a part cannot be answered.
    """
    on_gpus = work.device not in ON_PROCESSORS
    _start(address, workers or cpu_quota())
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray has no type for it
        wanted = workers or int(resources.get("GPU" if on_gpus else "CPU", 1))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # A part's number is all that a task is sent, and a block each lets workers take parts in turn.
        numbers = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
        reports = numbers.map_batches(
            PartWorker,
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=min(wanted, len(parts))),
            fn_constructor_args=(work,),
            num_cpus=1,
            num_gpus=1 if on_gpus else None,
        )
        for one in reports.iter_rows():
            yield Report(**{field: int(one[field]) for field in Report.__annotations__})
    except RayError as error:
        raise SteelError(f"a part could not be answered: {_cause(error)}") from error
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
                    "local",  # not one that happens to run here
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
    """Say within seconds what Ray would say after minutes.

    Raises:
        SteelError: if nobody listens at HOST:PORT; other forms are left to Ray.
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
    """Keep Ray's C++ part from announcing in the middle of a progress bar that it will say nothing."""
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
    """Return the last line of what a worker said, without the frames before it."""
    return str(error).strip().splitlines()[-1]
