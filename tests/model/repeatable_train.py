"""``python -m model_export`` without what makes two processes and one with the whole batch differ.

Batch normalisation goes by its stored statistics: those of a batch are each process's own. Adam's epsilon is
above the smallest gradients: below it a step is the gradient's sign, which rounding decides where there is
next to no gradient.
"""

import functools

import torch
from torch import nn

from model_export.__main__ import main
from model_export.network.steel_network import SteelNetwork

_train = SteelNetwork.train


def _train_without_batch_statistics(self: SteelNetwork, mode: bool = True) -> SteelNetwork:
    _train(self, mode)
    for module in self.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return self


if __name__ == "__main__":
    SteelNetwork.train = _train_without_batch_statistics  # type: ignore[method-assign, assignment]
    torch.optim.AdamW = functools.partial(torch.optim.AdamW, eps=1e-3)  # type: ignore[misc, assignment]
    main()
