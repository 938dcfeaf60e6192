"""Augmentations that move image and masks as one, chosen by name."""

from collections.abc import Callable, Sequence
from typing import Any

import model_export.torchvision_import  # noqa: F401  # isort: skip  (must come before torchvision)

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from model_export.data import Transform


class BlackBorder(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Blacken columns at one side, as where the strip ends; what was there is no defect any more."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Choose side and width for one sample."""
        width = flat_inputs[0].shape[-1]
        border = int(torch.randint(width // 16, width // 2, ()))
        return {"columns": slice(0, border) if torch.rand(()) < 0.5 else slice(width - border, width)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Blacken the image and empty the masks there."""
        out = inpt.clone()
        out[..., params["columns"]] = 0
        return out


class Noise(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Gaussian noise of up to ``sigma`` grey values; torchvision's own takes no bytes."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ARG002  (torchvision's signature)
        """Add noise to the image; masks stay."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        noise = torch.randn(inpt.shape) * (self.sigma * float(torch.rand(())))
        return tv_tensors.wrap((inpt + noise).clamp(0, 255).to(torch.uint8), like=inpt)


AUGMENTATIONS: dict[str, Callable[[], v2.Transform]] = {
    "hflip": lambda: v2.RandomHorizontalFlip(0.5),
    "vflip": lambda: v2.RandomVerticalFlip(0.5),
    "exposure": lambda: v2.RandomApply([v2.ColorJitter(brightness=0.3, contrast=0.3)], 0.8),
    "affine": lambda: v2.RandomApply([v2.RandomAffine(degrees=3, scale=(0.85, 1.2), shear=4)], 0.5),
    "noise": lambda: v2.RandomApply([Noise(8.0)], 0.3),
    "blur": lambda: v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.2))], 0.2),
    "border": lambda: v2.RandomApply([BlackBorder()], 0.1),
}


def build_transform(names: Sequence[str]) -> Transform:
    """Chain augmentations of ``AUGMENTATIONS`` into one function of image and masks.

    Raises:
        ValueError: naming the augmentation that does not exist.
    """
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise ValueError(f"no augmentation is called {unknown}; there are {', '.join(AUGMENTATIONS)}")
    chain = v2.Compose([AUGMENTATIONS[name]() for name in names] or [v2.Identity()])

    def transform(image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        moved = chain(tv_tensors.Image(image), tv_tensors.Mask(masks))
        return moved[0].as_subclass(Tensor), moved[1].as_subclass(Tensor)

    return transform
