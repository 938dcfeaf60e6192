"""``python -m model_export`` with batch normalisation by its stored statistics.

Those of a batch are each process's own, which is what two processes and one with the whole batch differ by.
"""

from torch import nn

from model_export.__main__ import main
from model_export.network import SteelNetwork

_train = SteelNetwork.train


def _train_without_batch_statistics(self: SteelNetwork, mode: bool = True) -> SteelNetwork:
    _train(self, mode)
    for module in self.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return self


if __name__ == "__main__":
    SteelNetwork.train = _train_without_batch_statistics  # type: ignore[method-assign, assignment]
    main()
