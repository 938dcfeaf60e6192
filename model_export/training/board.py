"""TensorBoard's log of a training, written at once.

torch's SummaryWriter writes in a thread, which prints a traceback on a full disk, and names no file.
"""

import os
import socket
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import image, scalar

from service.files import about


class Board:
    """A file of TensorBoard's events.

    Args:
        folder: created if it is missing; each start of a training writes a file of its own.
        start: number of finished epochs; TensorBoard drops what earlier files say of later ones.

    Raises:
        OSError: naming the file, here and in every method.
    """

    def __init__(self, folder: Path, start: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._file = self._path.open("ab", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        self._write(Event(step=start + 1, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, epoch: int) -> None:
        """Write a number."""
        self._write(Event(step=epoch, summary=scalar(name, value)))  # type: ignore[no-untyped-call]

    def add_picture(self, name: str, pixels: npt.NDArray[np.uint8], epoch: int) -> None:
        """Write a picture, uint8 ``[height, width, 3]``."""
        summary = image(name, pixels, dataformats="HWC")  # type: ignore[no-untyped-call]
        self._write(Event(step=epoch, summary=summary))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with about(self._path):
            self._records.write(event.SerializeToString())
