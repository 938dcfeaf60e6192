"""Patches of a frozen vision transformer, joined with a light convolutional stem: an eye of another kind.

Such a network is a teacher. The transformer, DINOv2's for example, was trained on photographs without labels
and does not change; the stem sees the edges that patches of 14 pixels do not.
Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023.
"""

from pathlib import Path
from typing import Any

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before timm)

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the three colours that the transformers expect: ImageNet's."""
STEM_CHANNELS = 32
PATCH_CHANNELS = 128


def conv_block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class FrozenPatches(nn.Module):
    """The patch features of two blocks of a vision transformer of timm, without gradients.

    Args:
        name: of the model in timm, e.g. vit_small_patch14_dinov2.
        pretrained: load timm's weights from the Hugging Face hub.
        mean: by which the input was normalised, in 0..1.
        std: by which the input was normalised, in 0..1.
    """

    vit: Any
    scale: Tensor
    shift: Tensor

    def __init__(self, name: str, *, pretrained: bool, mean: float, std: float) -> None:
        super().__init__()
        self.vit = timm.create_model(name, pretrained=pretrained, num_classes=0, dynamic_img_size=True)
        self.vit.requires_grad_(False).eval()
        self.patch = int(self.vit.patch_embed.patch_size[0])
        blocks = len(self.vit.blocks)
        self.taken = sorted({2 * blocks // 3 - 1, blocks - 1})
        self.channels = int(self.vit.num_features) * len(self.taken)
        # Grey values normalised once become three colours normalised as the transformer expects.
        colours = torch.tensor([MEAN, STD]).view(2, 1, 3, 1, 1)
        self.register_buffer("scale", std / colours[1], persistent=False)
        self.register_buffer("shift", (mean - colours[0]) / colours[1], persistent=False)

    def train(self, mode: bool = True) -> "FrozenPatches":  # noqa: ARG002  (torch's signature)
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Map normalised ``[n, 1, height, width]`` to ``[n, channels, height // patch, width // patch]``."""
        size = [side // self.patch * self.patch for side in images.shape[2:]]
        fitting = nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)
        colours = fitting * self.scale + self.shift
        return torch.cat(self.vit.get_intermediate_layers(colours, n=self.taken, reshape=True, norm=True), 1)


class PatchEncoder(nn.Module):
    """Patches of a frozen transformer and a stem at a quarter of the resolution."""

    def __init__(self, patches: FrozenPatches) -> None:
        super().__init__()
        self.patches = patches
        self.stem = nn.Sequential(
            conv_block(1, STEM_CHANNELS, 5, 2),
            conv_block(STEM_CHANNELS, STEM_CHANNELS, 3, 2),
            conv_block(STEM_CHANNELS, STEM_CHANNELS, 3),
        )
        self.mix = nn.Sequential(
            nn.Dropout2d(0.1),
            conv_block(patches.channels, PATCH_CHANNELS, 1),
            conv_block(PATCH_CHANNELS, PATCH_CHANNELS, 3),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return ``[n, 32, height / 4, width / 4]`` of the stem and ``[n, 128, ...]`` of the patches."""
        return [self.stem(images), self.mix(self.patches(images))]

    def load_patches(self, path: Path) -> None:
        """Load the weights of the transformer from a ``.safetensors`` with timm's names.

        Raises:
            ValueError: if weights are missing, left over or of other shapes.
        """
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
        try:
            self.patches.vit.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this transformer: {error}") from error


class JoinedDecoder(nn.Module):
    """Patches, enlarged, beside the stem's features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = conv_block(PATCH_CHANNELS, STEM_CHANNELS, 1)
        self.join = conv_block(2 * STEM_CHANNELS, channels, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return ``[n, channels, height / 4, width / 4]``."""
        stem, patches = features
        large = nn.functional.interpolate(
            self.narrow(patches), stem.shape[2:], mode="bilinear", align_corners=False
        )
        joined: Tensor = self.join(torch.cat([large, stem], dim=1))
        return joined
