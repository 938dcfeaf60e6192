"""Initial encoder weights from convolutions with folded batch norm.

Such a file (``.npz`` with torchvision's parameter names, ``layer1.0.conv1.weight`` and ``.bias``) is all
that is left of a deployed network. To restore the batch norms, one batch runs through the encoder and each
norm, in the order of execution, is set to undo itself: weight = standard deviation of its input, bias = mean
of its input + the folded bias, running statistics = this mean and variance. The encoder then computes the
same output for this batch as the folded network, and can train.
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
        encoder: with torchvision's parameter names and one input channel.
        path: the weights; layers missing in the file keep their weights.
        images: normalised float ``[n, 1, height, width]``; the batch that sets the norms.

    Returns:
        The names of the loaded convolutions.

    Raises:
        ValueError: if the file holds a layer that the encoder lacks or that has another shape.
    """
    convolutions = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, nn.Conv2d)}
    norms = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    hooks = []
    loaded = []
    with np.load(path) as arrays:
        names = sorted({key.rsplit(".", 1)[0] for key in arrays})
        for name in names:
            norm_name = norm_of(name)
            if name not in convolutions or norm_name not in norms:
                raise ValueError(f"{path} holds the layer {name}, which this encoder lacks")
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


def norm_of(convolution: str) -> str:
    """Return the name of the batch norm after a convolution of torchvision's ResNet."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    return convolution.replace("conv", "bn")


def _load_convolution(layer: nn.Conv2d, weight: Any, name: str) -> None:
    tensor = torch.from_numpy(weight)
    if layer.in_channels == 1 and tensor.shape[1] == 3:
        tensor = tensor.sum(dim=1, keepdim=True)
    if tensor.shape != layer.weight.shape:
        raise ValueError(f"{name}: expected shape {tuple(layer.weight.shape)}, got {tuple(tensor.shape)}")
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
