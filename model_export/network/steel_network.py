"""The network: an encoder and decoder of segmentation-models-pytorch with a classifier head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before smp)

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base import ClassificationHead
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from model_export.errors import OptionError
from model_export.network.names import check_names
from model_export.network.patch_encoder import PATCH_CHANNELS, FrozenPatches, JoinedDecoder, PatchEncoder


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the network."""

    encoder: str = "resnet18"
    """Any encoder of segmentation-models-pytorch, e.g. resnet34, tu-convnext_atto; for joined a vision
    transformer of timm, e.g. vit_small_patch14_dinov2."""
    decoder: str = "unet"
    """Any architecture of smp.create_model with a classification head, e.g. unet, fpn, manet; or joined:
    patches of a frozen vision transformer beside a light stem, which makes a teacher, not a fast model."""
    input_reduction: int = 1
    """Factor by which a tile is reduced on each side in front of the encoder, by average pooling."""
    encoder_depth: int = 5
    """For unet: stages of the encoder, each halves the resolution; with 4 a ResNet ends with layer3."""
    decoder_channels: tuple[int, ...] = (128, 64, 32)
    """For unet: channels per stage, deepest first; joined takes the last. Each stage doubles the resolution;
    with two stages fewer than the encoder, logits have a quarter of its input's resolution and are upsampled
    (the truth is coarse polygons)."""
    classifier_channels: int = 0
    """For unet: channels of an extra convolution of the classifier, at half the resolution of the encoder's
    last stage; 0 classifies that stage directly."""
    dropout: float = 0.2
    """Dropout in front of the classifier."""
    mean: float = 0.449
    """Mean of grey values in 0..1: ImageNet's, averaged over colours."""
    std: float = 0.226
    """Standard deviation of grey values in 0..1: ImageNet's, averaged over colours."""


class SteelNetwork(nn.Module):
    """Encoder, decoder and classifier: grey strips to logits of masks and of image-level classes.

    The input is grey values 0..255; normalisation is part of the network.

    Args:
        config: the architecture.
        encoder_weights: weights of the encoder that segmentation-models-pytorch downloads; None: random ones.
        classes: number of classes; by default Severstal's.
    """

    def __init__(
        self, config: NetworkConfig, encoder_weights: str | None = None, *, classes: int = 4
    ) -> None:
        super().__init__()
        check_names(config.encoder, config.decoder)
        head: dict[str, Any] = {"classes": classes, "pooling": "max", "dropout": config.dropout}
        channels = config.decoder_channels
        if config.decoder == "unet":
            encoder = smp.encoders.get_encoder(
                config.encoder, in_channels=1, depth=config.encoder_depth, weights=encoder_weights
            )
            self.encoder: nn.Module = encoder
            self.decoder: nn.Module = UnetDecoder(encoder.out_channels, channels, n_blocks=len(channels))
            self.segmentation_head: nn.Module = nn.Conv2d(channels[-1], classes, 3, padding=1)
            self.classification_head: nn.Module = _classifier(
                encoder.out_channels[-1], config.classifier_channels, head
            )
            self.upsampling = config.input_reduction * 2 ** (config.encoder_depth - len(channels))
        elif config.decoder == "joined":
            patches = FrozenPatches(
                config.encoder, pretrained=encoder_weights is not None, mean=config.mean, std=config.std
            )
            self.encoder = PatchEncoder(patches)
            self.decoder = JoinedDecoder(channels[-1])
            self.segmentation_head = nn.Conv2d(channels[-1], classes, 1)
            self.classification_head = ClassificationHead(PATCH_CHANNELS, **head)
            self.upsampling = 4 * config.input_reduction
        else:
            model = smp.create_model(
                config.decoder,
                encoder_name=config.encoder,
                encoder_weights=encoder_weights,
                in_channels=1,
                classes=classes,
                aux_params=head,
            )
            self.encoder = model.encoder
            self.decoder = model.decoder
            self.segmentation_head = model.segmentation_head
            self.classification_head = model.classification_head
            self.upsampling = config.input_reduction
        self.input_reduction = config.input_reduction
        self.mean = config.mean * 255
        self.std = config.std * 255
        self.frozen: list[nn.Module] = []

    def freeze(self, names: Sequence[str]) -> None:
        """Freeze modules of the encoder: their weights and the statistics of their batch norms.

        Raises:
            OptionError: naming the modules that the encoder lacks.
        """
        modules = dict(self.encoder.named_children())
        unknown = [name for name in names if name not in modules]
        if unknown:
            raise OptionError(
                f"--frozen: expected modules of the encoder ({', '.join(modules)}), got {unknown}"
            )
        self.frozen = [modules[name].requires_grad_(False).eval() for name in names]

    def class_layers(self) -> list[str]:
        """Return the names of the weights that belong to classes: those of the last layers of both heads."""
        heads = {"segmentation_head": self.segmentation_head, "classification_head": self.classification_head}
        names = []
        for head, module in heads.items():
            layers = [
                name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
            ]
            prefix = f"{head}.{layers[-1]}." if layers[-1] else f"{head}."
            names += [name for name in self.state_dict() if name.startswith(prefix)]
        return names

    def train(self, mode: bool = True) -> Self:
        """Set the mode of every module that is not frozen."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def encoder_input(self, images: Tensor) -> Tensor:
        """Reduce and normalise grey values for the encoder."""
        if self.input_reduction > 1:
            images = nn.functional.avg_pool2d(images, self.input_reduction)
        return (images - self.mean) / self.std

    def decoder_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mask logits at the decoder's own resolution, and class logits.

        Args:
            images: float ``[n, 1, height, width]``, grey values 0..255, sides divisible by 32 times
                ``input_reduction``.

        Returns:
            ``[n, classes, height / upsampling, width / upsampling]`` and ``[n, classes]``.
        """
        features = self.encoder(self.encoder_input(images))
        masks: Tensor = self.segmentation_head(self.decoder(features))
        classes: Tensor = self.classification_head(features[-1])
        return masks, classes

    def upsample(self, masks: Tensor) -> Tensor:
        """Upsample decoder logits to the strip's resolution, in float32."""
        masks = masks.float()
        if self.upsampling == 1:
            return masks
        return nn.functional.interpolate(
            masks, scale_factor=float(self.upsampling), mode="bilinear", align_corners=False
        )

    def downsample(self, masks: Tensor) -> Tensor:
        """Downsample masks to the decoder's resolution, where the loss is computed.

        Each value is the share of its area that the mask covers. By majority a line of three pixels would
        vanish at an eighth of the resolution.

        Args:
            masks: float ``[n, classes, height, width]``, 0 to 1.

        Returns:
            Float ``[n, classes, height / upsampling, width / upsampling]``, 0 to 1.
        """
        return masks if self.upsampling == 1 else nn.functional.avg_pool2d(masks, self.upsampling)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of masks, ``[n, classes, height, width]``, and of classes, both float32."""
        masks, classes = self.decoder_logits(images)
        return self.upsample(masks), classes.float()


def _classifier(features: int, channels: int, head: dict[str, Any]) -> nn.Module:
    if not channels:
        direct: nn.Module = ClassificationHead(features, **head)
        return direct
    return nn.Sequential(
        nn.Conv2d(features, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        ClassificationHead(channels, **head),
    )


class ServedNetwork(nn.Module):
    """The network with the inputs and outputs of a model file: bytes to probabilities and bytes.

    Args:
        network: the trained network.
        temperature: divides the class logits, which calibrates the class probabilities.
        soft_gate: multiply each pixel's probability by its class's on the whole strip.
    """

    def __init__(self, network: SteelNetwork, temperature: float = 1.0, *, soft_gate: bool = False) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.soft_gate = soft_gate

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map tiles, uint8 ``[n, height, width]``, to probabilities.

        Returns:
            Float32 ``[n, classes]`` and uint8 ``[n, classes, width, height]``.
        """
        masks, classes = self.network.decoder_logits(image.unsqueeze(1).float())
        # Transposed before upsampling, while they are small; bilinear upsampling treats both axes alike.
        columns = self.network.upsample(masks.transpose(2, 3))
        probability = torch.sigmoid(classes.float() / self.temperature)
        pixels = torch.sigmoid(columns)
        if self.soft_gate:
            pixels = pixels * probability[:, :, None, None]
        return probability, (pixels * 255).round().to(torch.uint8)
