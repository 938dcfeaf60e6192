"""Import torchvision beside a CPU build of torch.

PyPI's torchvision wheel is linked to CUDA. Beside a CPU build of torch its compiled operators are missing,
and ``import torchvision`` fails with "operator torchvision::nms does not exist" when it registers shape
functions for them. This project does not use these operators (detection boxes), so this module skips their
registration during the first import. With a CUDA build of torch the operators exist and nothing changes.
Modules that import torchvision, or a library that imports it (segmentation-models-pytorch, timm), first
import ``model_export.network.torchvision_import``.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch


def _import_torchvision() -> None:
    if "torchvision" in sys.modules or torch.version.cuda is not None:
        return
    register_fake = torch.library.register_fake

    def skip_torchvision(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::"):
            return lambda function: function
        return register_fake(op, *args, **kwargs)

    replaced: Callable[..., Any] = skip_torchvision
    torch.library.register_fake = replaced
    try:
        import torchvision  # noqa: F401  (imported for its effect on sys.modules)
    finally:
        torch.library.register_fake = register_fake


_import_torchvision()
