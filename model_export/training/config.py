"""The training configuration: one frozen dataclass, filled from the command line, kept in checkpoints."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model_export.network.steel_network import NetworkConfig


@dataclass(frozen=True)
class TrainConfig:
    """Train a network; the checkpoint in --out holds this configuration and resumes."""

    data: Path | None = None
    """Folder in Kaggle's layout: train.csv and train_images/. Without it, drawn strips only."""
    out: Path = Path("runs/latest")
    """Folder for last.pt, best.pt, metrics.csv and TensorBoard's log."""
    resume: bool = False
    """Go on from --out/last.pt, with the configuration that it holds."""
    skip_bad: bool = False
    """Leave out (and name) images that are missing or of the wrong size, instead of stopping."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    encoder_weights: str = "none"
    """none, imagenet (downloaded), or the path of an .npz with batch norm folded into it."""

    start_from: Path | None = None
    """A checkpoint of the same network, at any --input-reduction, whose weights this training starts from;
    for cross-validate also a folder that it wrote, of which each fold takes its own."""
    teacher: Path | None = None
    """A checkpoint whose answers are learned besides the truth; for cross-validate also a folder that it
    wrote, so that no strip is judged by a network whose teacher had seen it."""
    teacher_share: float = 0.5
    """Share of the teacher in the loss."""
    frozen: tuple[str, ...] = ()
    """Parts of the encoder that keep their first weights, e.g. conv1 bn1 layer1: they cost no backward
    pass."""

    mask_loss: str = "5*bce+dice"
    """Sum of bce, dice, focal, lovasz, tversky with factors."""
    class_weights: tuple[float, float, float, float] = (1, 1, 1, 1)
    """Weight in bce of the pixels that hold a class."""
    class_loss: float = 0.5
    """Factor of the classifier head's loss."""

    crop_width: int = 512
    """Columns of a training sample, a multiple of 32; 1600 trains on whole strips."""
    whole_epochs: int = 0
    """Last epochs, which train on whole strips: as many batches, smaller ones, of as many pixels."""
    augment: tuple[str, ...] = ("hflip", "vflip", "exposure", "affine", "noise", "blur", "border")
    """Augmentations in order; see model_export/data/transforms.py."""
    drawn: int = 1000
    """Drawn strips to mix in (all there is without --data)."""
    drawn_share: float = 0.2
    """Share of the samples that is drawn when there is --data."""
    background_share: float = 0.0
    """Share of the samples that is a crop without defects of a strip that has some."""
    pasted_share: float = 0.0
    """Share of the samples that is a clean strip with the defects of another one pasted in."""

    epochs: int = 20
    patience: int | None = None
    """Stop early, after this many validations without a better score; default: never."""
    samples_per_epoch: int = 512
    batch_size: int = 8
    learning_rate: float = 1.2e-3
    encoder_rate: float = 0.35
    """Learning rate of the encoder as a factor of --learning-rate."""
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises; a cosine takes it down afterwards."""
    ema_decay: float = 0.99
    """Per step, of the running average of the weights that is validated and exported, reached after a
    warm-up; 0 turns it off."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the hardware computes it, else fp32. fp16 scales the loss."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    workers: int = 1
    """Processes that prepare samples."""
    threads: int | None = None
    """Processors for torch on the CPU."""
    seed: int = 0
    folds: int = 5
    """The data is dealt into this many; one is the test, one validates, the rest trains."""
    fold: int | None = None
    """1 to --folds: that fold is the test and all others train, none validates; 0: all strips train.
    The last epoch is then the result, for nothing is left to choose by."""
    validate_every: int = 5
    """Epochs between validations; the last epoch is always validated. With --fold the score of the test
    fold is only watched."""
