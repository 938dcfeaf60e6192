"""The textbook network, a baseline for the default model's speed; its weights are random."""

import warnings
from pathlib import Path

import torch

import model_export.network.torchvision_import  # noqa: F401  (before anything that imports torchvision)
from model_export.data.severstal import CLASSES, HEIGHT, WIDTH

INPUT_SHAPE = (1, 3, HEIGHT, WIDTH)


def export_textbook(path: Path) -> None:
    """Write a U-Net with a ResNet-18 encoder: float32 ``[1, 3, 256, 1600]`` to ``[1, 4, 256, 1600]``."""
    import segmentation_models_pytorch as smp  # torchvision must be imported first

    torch.manual_seed(0)
    network = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=len(CLASSES)).eval()
    with warnings.catch_warnings():
        # torch's exporter warns about deprecations in its own code.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(INPUT_SHAPE),),
            input_names=["image"],
            output_names=["logits"],
            dynamo=True,
            opset_version=18,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch exported nothing")
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
