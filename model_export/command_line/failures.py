"""How a command ends that cannot go on: a message of one line, and an exit code."""

import csv
from typing import NamedTuple

from model_export.errors import DataError, OptionError, ParityError, TrainingError
from service.errors import DeviceError, ModelFileError, ServiceError, explain_os_error

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit codes: the command line is wrong, the command failed, Ctrl+C (128 + SIGINT, as shells have it)."""


class Failure(NamedTuple):
    """The end of a command."""

    code: int
    message: str


def explain(error: BaseException) -> Failure | None:
    """Return the end that an error means to the user; None for one that only a bug explains."""
    if isinstance(error, KeyboardInterrupt):
        return Failure(INTERRUPTED, "interrupted")
    text = _of_worker(str(error))
    if isinstance(error, OptionError):
        return Failure(USAGE, f"error: {text}")
    if isinstance(error, OSError):  # a full disk, a folder that may not be written
        return Failure(FAILURE, f"error: {explain_os_error(error) if text == str(error) else text}")
    if isinstance(error, MemoryError):
        return Failure(FAILURE, f"error: there is no memory left{': ' if text else ''}{text}")
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return Failure(FAILURE, "error: the GPU has no memory left: lower --batch-size or --crop-width")
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker"):
        return Failure(
            FAILURE,
            f"error: {' '.join(text.split())}; --workers 0 prepares samples in the training process",
        )
    if isinstance(error, csv.Error):
        return Failure(FAILURE, f"error: a table cannot be read: {text}")
    expected = (DataError, DeviceError, ModelFileError, ParityError, ServiceError, TrainingError, ValueError)
    return Failure(FAILURE, f"error: {text}") if isinstance(error, expected) else None


def _of_worker(text: str) -> str:
    """Return the message of an error, without the traceback that torch adds to those of its workers."""
    if not (text.startswith("Caught ") and "Original Traceback" in text):
        return text
    last = text.strip().splitlines()[-1]
    return last.partition(": ")[2] or last
