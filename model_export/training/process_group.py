"""Processes that train one network together, as torchrun starts them; a single one without torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from model_export.errors import OptionError


@dataclass(frozen=True)
class ProcessGroup:
    """The rank of this process and the number of processes."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process validates, writes and prints."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Average a tensor over all processes; every process must call this and gets the same result."""
        if self.world_size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values / self.world_size

    def broadcast(self, value: float) -> float:
        """Return the main process' value in every process."""
        if self.world_size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def parallel(self, module: nn.Module, *, find_unused_parameters: bool) -> nn.Module:
        """Wrap a module so that its gradients are averaged over all processes."""
        if self.world_size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=find_unused_parameters)


@contextmanager
def join_process_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, for as long as the block runs.

    On GPUs each process takes the GPU of its local rank.

    Args:
        device: as in the training configuration; with several processes ``auto``, ``cpu`` or ``cuda``.

    Raises:
        OptionError: if several processes were started and ``device`` names one GPU.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield ProcessGroup()
        return
    if ":" in device:
        raise OptionError(
            f"{world_size} processes cannot share --device {device}: use cuda, each process takes its own GPU"
        )
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    outermost = not distributed.is_initialized()
    if outermost:
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield ProcessGroup(distributed.get_rank(), world_size)
    finally:
        if outermost:
            distributed.destroy_process_group()
