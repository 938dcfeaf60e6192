"""Start an encoder from convolution weights whose batch norm was folded into them.

Such files (``.npz`` with torchvision's parameter names, ``layer1.0.conv1.weight`` and ``.bias``)
are what is left when only a deployed network is at hand. Batch norm is put back by running one
batch and setting each norm, in the order of execution, to undo itself: weight = its input's
standard deviation, bias = its input's mean + the folded bias, running statistics = that mean and
variance. The encoder then answers that batch exactly as the folded network does, and can train.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def load_folded_weights(encoder: nn.Module, path: Path, images: Tensor) -> list[str]:
    """Load a folded ``.npz`` into an encoder of torchvision's ResNet layout.

    Args:
        encoder: its parameter names are torchvision's; one input channel.
        path: the weights; layers that are missing there keep their own.
        images: normalised float ``[n, 1, height, width]``; the batch that sets the norms.

    Returns:
        The names of the convolutions that were loaded.

    Raises:
        ValueError: if the file names a layer that the encoder does not have, or of another shape.
    """
    convolutions = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, nn.Conv2d)}
    norms = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    hooks = []
    loaded = []
    with np.load(path) as arrays:
        names = sorted({key.rsplit(".", 1)[0] for key in arrays})
        for name in names:
            norm_name = _norm_of(name)
            if name not in convolutions or norm_name not in norms:
                raise ValueError(f"{path} names the layer {name}, which this encoder does not have")
            _load_convolution(convolutions[name], arrays[f"{name}.weight"], name)
            bias = torch.from_numpy(arrays[f"{name}.bias"])
            hooks.append(norms[norm_name].register_forward_pre_hook(_setter(bias)))
            loaded.append(name)
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        encoder(images)
    encoder.train(training)
    for hook in hooks:
        hook.remove()
    return loaded


def _norm_of(convolution: str) -> str:
    """Name the batch norm that follows a convolution in torchvision's ResNet."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    return convolution.replace("conv", "bn")


def _load_convolution(layer: nn.Conv2d, weight: Any, name: str) -> None:
    tensor = torch.from_numpy(weight)
    if layer.in_channels == 1 and tensor.shape[1] == 3:
        tensor = tensor.sum(dim=1, keepdim=True)
    if tensor.shape != layer.weight.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, {tuple(layer.weight.shape)} is wanted")
    with torch.no_grad():
        layer.weight.copy_(tensor)


def _setter(bias: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def set_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            raise TypeError(f"expected a batch norm with running statistics, got {type(norm).__name__}")
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    return set_norm
