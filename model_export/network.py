"""The network: an encoder and decoder of segmentation-models-pytorch with a classifier head."""

from dataclasses import dataclass

import model_export.torchvision_import  # noqa: F401  # isort: skip  (must come before smp)

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from service.metadata import CLASS_COUNT


@dataclass(frozen=True)
class NetworkConfig:
    """What the network is built from."""

    encoder: str = "resnet18"
    """Any encoder of segmentation-models-pytorch, e.g. resnet34, tu-convnext_atto."""
    decoder: str = "unet"
    """Any architecture of smp.create_model with a classification head, e.g. unet, fpn, manet."""
    decoder_channels: tuple[int, ...] = (128, 64, 32)
    """For unet: channels per stage, deepest first. Each stage doubles the resolution; with three,
    logits come at a quarter of the strip's and are upsampled (the truth is coarse polygons)."""
    dropout: float = 0.2
    """In front of the classifier."""
    mean: float = 0.449
    """Of grey values in 0..1; ImageNet's averaged over colours."""
    std: float = 0.226


class SteelNetwork(nn.Module):
    """Grey strips in, logits of masks and of image-level classes out.

    Normalisation is part of the network: it takes grey values 0..255 as they are.
    """

    def __init__(self, config: NetworkConfig, encoder_weights: str | None = None) -> None:
        super().__init__()
        aux = {"classes": CLASS_COUNT, "pooling": "max", "dropout": config.dropout}
        model = smp.create_model(
            config.decoder,
            encoder_name=config.encoder,
            encoder_weights=encoder_weights,
            in_channels=1,
            classes=CLASS_COUNT,
            aux_params=aux,
        )
        self.encoder: nn.Module = model.encoder
        self.classification_head: nn.Module = model.classification_head
        if config.decoder == "unet":
            self.decoder: nn.Module = UnetDecoder(
                model.encoder.out_channels,
                config.decoder_channels,
                n_blocks=len(config.decoder_channels),
            )
            self.segmentation_head: nn.Module = nn.Conv2d(
                config.decoder_channels[-1], CLASS_COUNT, kernel_size=3, padding=1
            )
            self.upsampling = 2 ** (5 - len(config.decoder_channels))
        else:
            self.decoder = model.decoder
            self.segmentation_head = model.segmentation_head
            self.upsampling = 1
        self.mean = config.mean * 255
        self.std = config.std * 255

    def decoder_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Answer mask logits at the decoder's own resolution, and class logits.

        Args:
            images: float ``[n, 1, height, width]``, grey values 0..255, sides divisible by 32.

        Returns:
            ``[n, 4, height / upsampling, width / upsampling]`` and ``[n, 4]``.
        """
        features = self.encoder((images - self.mean) / self.std)
        masks: Tensor = self.segmentation_head(self.decoder(features))
        classes: Tensor = self.classification_head(features[-1])
        return masks, classes

    def upsample(self, masks: Tensor) -> Tensor:
        """Bring decoder logits to the strip's resolution, in float32."""
        masks = masks.float()
        if self.upsampling == 1:
            return masks
        return nn.functional.interpolate(
            masks, scale_factor=float(self.upsampling), mode="bilinear", align_corners=False
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Answer mask logits ``[n, 4, height, width]`` and class logits ``[n, 4]``, both float32."""
        masks, classes = self.decoder_logits(images)
        return self.upsample(masks), classes.float()


class ServedNetwork(nn.Module):
    """The network behind the contract of the model file: bytes in, probabilities and bytes out.

    ``temperature`` divides the class logits, which calibrates their probabilities.
    """

    def __init__(self, network: SteelNetwork, temperature: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 ``[n, 256, 1600]`` to float32 ``[n, 4]`` and uint8 ``[n, 4, 1600, 256]``."""
        masks, classes = self.network.decoder_logits(image.unsqueeze(1).float())
        # Turned while they are small; bilinear upsampling treats both axes alike.
        columns = self.network.upsample(masks.transpose(2, 3))
        return torch.sigmoid(classes.float() / self.temperature), (torch.sigmoid(columns) * 255).round().to(
            torch.uint8
        )
