"""Augmentations of an image together with its masks, chosen by name."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before torchvision)

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from model_export.data.dataset import Transform
from model_export.errors import OptionError


class BlackBorder(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Blacken the columns of one side, as beyond the strip's edge, and clear the masks there."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Choose side and width for a sample."""
        width = flat_inputs[0].shape[-1]
        border = int(torch.randint(width // 16, width // 2, ()))
        return {"columns": slice(0, border) if torch.rand(()) < 0.5 else slice(width - border, width)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Blacken the image, or clear the masks, in these columns."""
        out = inpt.clone()
        out[..., params["columns"]] = 0
        return out


class Noise(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Gaussian noise of up to ``sigma`` grey values; torchvision's GaussianNoise does not take uint8."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ARG002  (torchvision's signature)
        """Add noise to the image, not to the masks."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        noise = torch.randn(inpt.shape) * (self.sigma * float(torch.rand(())))
        return tv_tensors.wrap((inpt + noise).round().clamp(0, 255).to(torch.uint8), like=inpt)


class Exposure(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Random exposure and gamma, both within exp(±``strength``); black stays black."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002  (torchvision's signature)
        """Choose gain and gamma for a sample."""
        gain, gamma = ((2 * torch.rand(2) - 1) * self.strength).exp().tolist()
        return {"gain": gain, "gamma": gamma}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change the image, not the masks."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        light = params["gain"] * (inpt.float() / 255) ** params["gamma"]
        return tv_tensors.wrap((light * 255).clamp(0, 255).round().to(torch.uint8), like=inpt)


class MirroredAffine(v2.Transform):  # type: ignore[misc]  # torchvision ships no types
    """Random rotation, scale and horizontal shear inside a mirrored margin: no black enters at the edges.

    Args:
        degrees: largest angle of the rotation.
        scale: smallest and largest factor.
        shear: largest angle of the shear.
    """

    def __init__(self, degrees: float, scale: tuple[float, float], shear: float) -> None:
        super().__init__()
        self.degrees, self.scale, self.shear = degrees, scale, shear
        self.inner = v2.RandomAffine(
            degrees=degrees, scale=scale, shear=shear, interpolation=v2.InterpolationMode.BILINEAR
        )

    def margin(self, height: int, width: int) -> tuple[int, int]:
        """Return the columns and rows beyond an image of this size that can come into view at its corners."""
        turn = math.tan(math.radians(self.degrees + self.shear))
        rise = math.sin(math.radians(self.degrees))
        columns = (width + height * turn) / self.scale[0] - width
        rows = (height + width * rise) / self.scale[0] - height
        return math.ceil(columns / 2) + 2, math.ceil(rows / 2) + 2

    def forward(self, *inputs: Any) -> Any:
        """Pad, transform and crop to the former size."""
        height, width = inputs[0].shape[-2:]
        columns, rows = self.margin(height, width)
        padded = v2.Pad([columns, rows], padding_mode="reflect")(*inputs)
        return v2.CenterCrop([height, width])(*self.inner(*padded))


AUGMENTATIONS: dict[str, Callable[[], v2.Transform]] = {
    "hflip": lambda: v2.RandomHorizontalFlip(0.5),
    "vflip": lambda: v2.RandomVerticalFlip(0.5),
    "exposure": lambda: v2.RandomApply([Exposure(0.35)], 0.8),
    "affine": lambda: v2.RandomApply([MirroredAffine(degrees=3, scale=(0.85, 1.2), shear=4)], 0.5),
    "noise": lambda: v2.RandomApply([Noise(8.0)], 0.3),
    "blur": lambda: v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.2))], 0.2),
    "border": lambda: v2.RandomApply([BlackBorder()], 0.1),
}


class ImageAndMasks:
    """A chain of transforms as a function of plain tensors, which worker processes can unpickle."""

    def __init__(self, chain: v2.Transform) -> None:
        self.chain = chain

    def __call__(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Transform an image, uint8 ``[1, height, width]``, and its masks ``[4, height, width]``."""
        moved = self.chain(tv_tensors.Image(image), tv_tensors.Mask(masks))
        return moved[0].as_subclass(Tensor), moved[1].as_subclass(Tensor)


def build_transform(names: Sequence[str]) -> Transform:
    """Compose augmentations of ``AUGMENTATIONS`` into one function of image and masks.

    Raises:
        OptionError: naming the augmentations that do not exist.
    """
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise OptionError(f"--augment: expected augmentations of {', '.join(AUGMENTATIONS)}, got {unknown}")
    return ImageAndMasks(v2.Compose([AUGMENTATIONS[name]() for name in names] or [v2.Identity()]))
