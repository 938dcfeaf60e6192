"""The training configuration: options of the command line, stored in checkpoints."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from model_export.data.options import BitsOption, TileOption
from model_export.errors import OptionError
from model_export.network.steel_network import NetworkConfig
from service.model.metadata import TILE_STEP


@dataclass(frozen=True)
class TrainConfig:
    """Train a network. The checkpoint in --out holds this configuration; --resume continues it."""

    data: Path | None = None
    """Folder in Kaggle's layout: train.csv and train_images/. Without it, drawn strips only."""
    out: Path = Path("runs/latest")
    """Folder for last.pt, best.pt, metrics.csv, run.yaml and TensorBoard's log."""
    resume: bool = False
    """Resume from --out/last.pt, with the configuration in it. An option that is given and differs from it
    is an error, but for --data, --device and --threads."""
    skip_bad: bool = False
    """Leave out, and print, images that are missing, unreadable or of other bits, instead of stopping."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16."""
    tile: TileOption = None
    """Rows and columns that the network takes, multiples of 32. Larger images are cropped to it in training
    and cut into overlapping tiles in the service, smaller ones padded by mirroring. Default: the images' own
    size, if all are alike, rounded up."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    encoder_weights: str = "none"
    """none, imagenet (downloaded), or the path of an .npz with batch norm folded into it; for --decoder
    joined that of timm's weights as .safetensors."""

    start_from: Path | None = None
    """Checkpoint of the same network, at any --input-reduction and tile, whose weights this training starts
    from; one of other classes gives all but the last layers. For
    cross-validate also a folder that it wrote, from which each fold takes its own checkpoint. One that saw a
    strip of the test or the validation is refused."""
    teacher: tuple[Path, ...] = ()
    """Checkpoints whose mean output is learned besides the truth (distillation), computed for every sample;
    for cross-validate also folders that it wrote. One that saw a strip of the test or the validation is
    refused."""
    soft_targets: Path | None = None
    """Folder that soft-targets wrote: outputs of teachers, computed once, instead of --teacher. Needs
    --fold."""
    teacher_share: float = 0.5
    """Share of the teachers in the loss of labelled strips; of --unlabelled strips they are all of it."""
    unlabelled: tuple[Path, ...] = ()
    """Folders of images without masks, to learn from --soft-targets alone."""
    unlabelled_share: float = 0.25
    """Share of --unlabelled strips among the samples."""
    frozen: tuple[str, ...] = ()
    """Modules of the encoder that keep their initial weights, e.g. conv1 bn1 layer1; they need no backward
    pass."""

    mask_loss: str = "5*bce+dice"
    """Sum of bce, dice, focal, lovasz and tversky with factors."""
    class_weights: tuple[float, ...] = (1,)
    """Weight in bce of the positive pixels of each class, or one for all."""
    class_loss: float = 0.5
    """Factor of the loss of the classifier head."""

    crop_width: int = 512
    """Columns of a training sample, a multiple of 32, at most those of a tile; its rows are a tile's."""
    whole_epochs: int = 0
    """Number of last epochs that train on whole tiles, in the same number of smaller batches with the same
    number of pixels."""
    augment: tuple[str, ...] = ("hflip", "vflip", "exposure", "affine", "noise", "blur", "border")
    """Augmentations in order; see model_export/data/transforms.py."""
    drawn: int = 1000
    """Drawn strips to mix in; without --data the only strips."""
    drawn_share: float = 0.0
    """Share of drawn strips among the samples, with --data of Severstal's classes, which they show."""
    background_share: float = 0.0
    """Share of crops without defects from defective strips."""
    pasted_share: float = 0.0
    """Share of clean strips with the defects of another strip pasted in."""

    epochs: int = 20
    patience: int | None = None
    """Stop after this many validations without a better score; default: never."""
    samples_per_epoch: int = 512
    batch_size: int = 8
    learning_rate: float = 1.2e-3
    encoder_rate: float = 0.35
    """Learning rate of the encoder as a factor of --learning-rate."""
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises; then it falls as a half cosine."""
    ema_decay: float = 0.99
    """Decay per step of the moving average of the weights, which is validated and exported; reached after a
    warm-up. 0 turns the average off."""

    pictures: int = 4
    """Validation strips, of every class and of the clean ones, that TensorBoard shows at each validation: the
    image, the truth and the prediction."""
    mlflow: bool = False
    """Log options, metrics and, at the end, best.pt and run.yaml to MLflow, which is to be installed
    beside this program; MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where. A resumed training goes on
    with its run."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto takes bf16 where the hardware computes it, else fp32; fp16 scales the loss."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""
    workers: int = 1
    """Worker processes that prepare samples."""
    threads: int | None = None
    """Threads of torch on the CPU."""
    seed: int = 0
    folds: int = 5
    """Number of folds: one for the test, one for validation, the others for training."""
    groups: Path | None = None
    """Table with the columns ImageId,Group: images of one group, a coil say, are never separated. Default:
    groups.csv in --data, if it lies there, else strips that look alike."""
    split: Path | None = None
    """Table with the columns ImageId,Set: train, validation or test, instead of dealing strips out. Default:
    split.csv in --data, if it lies there. With --fold its test strips are left out of every fold."""
    fold_file: Path | None = None
    """CSV with the columns name,fold, from 1: the folds of --fold and cross-validate, instead of folds dealt
    out by alike strips. It keeps the folds of an earlier training when strips are added."""
    fold: int | None = None
    """1 to --folds: this fold is for the test, all others train, none validates. 0: all strips train. The
    result is then the last epoch, since no strips are left to choose another by."""
    validate_every: int = 5
    """Epochs between validations; the last epoch is always validated. With --fold the score of the test fold
    is logged and chooses nothing."""


def check_config(config: TrainConfig, world_size: int) -> None:
    """Check options against each other and against the number of processes.

    Raises:
        OptionError: naming the option.
    """
    for name in ("epochs", "samples_per_epoch", "batch_size", "validate_every", "patience", "threads"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise OptionError(f"{_option(name)}: expected 1 or more, got {value}")
    for name in ("workers", "seed", "drawn", "whole_epochs", "pictures"):
        if getattr(config, name) < 0:
            raise OptionError(f"{_option(name)}: expected 0 or more, got {getattr(config, name)}")
    for name in ("learning_rate", "encoder_rate", "weight_decay", "class_loss"):
        if not 0 <= getattr(config, name) < math.inf:
            raise OptionError(f"{_option(name)}: expected 0 or more, got {getattr(config, name)}")
    if not all(0 <= weight < math.inf for weight in config.class_weights):
        raise OptionError(f"--class-weights: expected 0 or more, got {config.class_weights}")
    _check_network(config.network)
    least = 3 if config.fold is None else 2
    if config.folds < least:
        raise OptionError(f"--folds: expected {least} or more, got {config.folds}")
    if config.fold is not None and not 0 <= config.fold <= config.folds:
        raise OptionError(f"--fold: expected 0 to {config.folds}, got {config.fold}")
    shares = ("drawn_share", "background_share", "pasted_share", "unlabelled_share", "teacher_share")
    for name in (*shares, "warm_up"):
        share = getattr(config, name)
        if not 0 <= share <= 1:
            raise OptionError(f"{_option(name)}: expected 0 to 1, got {share}")
    if not 0 <= config.ema_decay < 1:
        raise OptionError(f"--ema-decay: expected 0 or more and less than 1, got {config.ema_decay}")
    if config.soft_targets is not None and (config.teacher or config.fold is None):
        raise OptionError("--soft-targets are instead of --teacher, and need the --fold that they are for")
    if config.unlabelled and config.soft_targets is None:
        raise OptionError("--unlabelled strips have no masks to learn: they need --soft-targets")
    if config.crop_width < TILE_STEP or config.crop_width % TILE_STEP:
        raise OptionError(f"--crop-width: expected a multiple of {TILE_STEP}, got {config.crop_width}")
    if config.tile is not None:
        check_tile(config.tile, config.network)
    if config.whole_epochs > config.epochs:
        raise OptionError(f"--whole-epochs {config.whole_epochs} is more than --epochs {config.epochs}")
    if config.fold is not None and config.patience:
        raise OptionError("--patience needs validation strips; with --fold there are none")
    if config.data is None and (config.groups or config.split):
        raise OptionError("--groups and --split are of photographed strips: name them with --data FOLDER")
    if config.batch_size % world_size:
        raise OptionError(
            f"--batch-size is that of all processes together: expected a multiple of {world_size}, got "
            f"{config.batch_size}"
        )


def _check_network(network: NetworkConfig) -> None:
    """Check the numbers of an architecture; its names are checked where it is built.

    Raises:
        OptionError: naming the option.
    """
    if network.input_reduction not in (1, 2, 4, 8):
        raise OptionError(f"--input-reduction: expected 1, 2, 4 or 8, got {network.input_reduction}")
    if not 3 <= network.encoder_depth <= 5:
        raise OptionError(f"--encoder-depth: expected 3 to 5, got {network.encoder_depth}")
    channels = network.decoder_channels
    if not 1 <= len(channels) <= network.encoder_depth or min(channels) < 1:
        raise OptionError(
            f"--decoder-channels: expected 1 to {network.encoder_depth} numbers of 1 or more, got {channels}"
        )
    if network.classifier_channels < 0:
        raise OptionError(f"--classifier-channels: expected 0 or more, got {network.classifier_channels}")
    if not 0 <= network.dropout <= 1:
        raise OptionError(f"--dropout: expected 0 to 1, got {network.dropout}")
    if not math.isfinite(network.mean):
        raise OptionError(f"--mean: expected a number, got {network.mean}")
    if not 0 < network.std < math.inf:
        raise OptionError(f"--std: expected more than 0, got {network.std}")


def check_class_weights(config: TrainConfig, classes: int) -> None:
    """Check that there is a weight for each class, or one for all.

    Raises:
        OptionError: if there is not.
    """
    if len(config.class_weights) not in (1, classes):
        raise OptionError(
            f"--class-weights: expected 1 or {classes} numbers, one per class, got "
            f"{len(config.class_weights)}"
        )


def check_tile(tile: tuple[int, int], network: NetworkConfig) -> None:
    """Check that a network can take a tile of so many rows and columns.

    Raises:
        OptionError: if it cannot.
    """
    if network.decoder == "unet":
        step = network.input_reduction * 2 ** (network.encoder_depth - len(network.decoder_channels))
    else:
        step = network.input_reduction * (4 if network.decoder == "joined" else 32)
    step = max(TILE_STEP, step)
    if not all(side > 0 and side % step == 0 for side in tile):
        raise OptionError(
            f"--tile: expected rows and columns in multiples of {step}, got {tile[0]} {tile[1]}"
            + ("" if step == TILE_STEP else "; a smaller --input-reduction takes multiples of less")
        )


_FREE = frozenset({"out", "resume", "data", "device", "threads", "mlflow"})
"""Options that a resumed training may change: they say where it runs, not what it learns. The number of
worker processes is none of them: it decides which random numbers a sample gets."""


def check_resumed(given: TrainConfig, stored: TrainConfig, *, defaults_too: bool) -> None:
    """Check that the options of a resumed training are those of its checkpoint.

    Args:
        given: the options of the command line.
        stored: the configuration in the checkpoint.
        defaults_too: compare options that have their default value too, which were perhaps not given.

    Raises:
        OptionError: naming the options that differ.
    """
    default = TrainConfig()
    differing = []
    for name in [option.name for option in fields(TrainConfig) if option.name not in _FREE]:
        value, expected = getattr(given, name), getattr(stored, name)
        if value != expected and (defaults_too or value != getattr(default, name)):
            differing.append(f"{_option(name)} {value} (the checkpoint has {expected})")
    if differing:
        raise OptionError(
            f"expected the options of the training that resumes, got {', '.join(differing)}; "
            "another --out starts anew"
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def run_folder(out: Path, fold: int) -> Path:
    """Return the folder of one fold's training, or of its soft targets; 0 is the one of all strips."""
    return out / (f"fold-{fold}" if fold else "all")
