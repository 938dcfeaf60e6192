"""Several processes that train as one, as torchrun starts them; one alone where it did not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that validates, writes and prints."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Average a tensor over all processes; each calls this and gets the same."""
        if self.count > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values / self.count

    def from_first(self, value: float) -> float:
        """Give every process the first one's value."""
        if self.count == 1:
            return value
        told = [value]
        distributed.broadcast_object_list(told, src=0)
        return told[0]


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, for as long as the block runs.

    On GPUs each process takes the one with its number on its machine.

    Args:
        device: as in the training configuration; with several processes ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ValueError: if one GPU is named and several processes were started.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if ":" in device:
        raise ValueError(f"{count} processes cannot share --device {device}: take cuda, each gets its own")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    began = not distributed.is_initialized()
    if began:
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(distributed.get_rank(), count)
    finally:
        if began:
            distributed.destroy_process_group()
