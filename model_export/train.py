"""The training loop, read from top to bottom."""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

import model_export.torchvision_import  # noqa: F401  # isort: skip  (must come before timm)

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model_export import checkpoint as checkpoints
from model_export.checkpoint import Checkpoint
from model_export.config import TrainConfig
from model_export.data import (
    BalancedSampler,
    DataError,
    LabelledStrip,
    Pick,
    Sample,
    StripDataset,
)
from model_export.folded_weights import load_folded_weights
from model_export.losses import MaskLoss
from model_export.metrics import Overlap, class_scores, mean_of
from model_export.network import SteelNetwork
from model_export.sources import labelled_strips, make_split, named, training_samples
from model_export.transforms import build_transform
from service.metadata import CLASS_COUNT, WIDTH, ClassScore, Split


def train(config: TrainConfig) -> Path:
    """Train as configured and return the path of the best checkpoint."""
    last, best = config.out / "last.pt", config.out / "best.pt"
    resumed = checkpoints.load(last) if config.resume else None
    if resumed is not None:
        data = config.data or resumed.config.data
        config = replace(resumed.config, out=config.out, data=data, resume=True, threads=config.threads)
    elif last.exists():
        raise DataError(f"{config.out} holds a training: --resume goes on with it, another --out starts anew")
    if not 32 <= config.crop_width <= WIDTH or config.crop_width % 32:
        raise ValueError(f"--crop-width is a multiple of 32 up to {WIDTH}, got {config.crop_width}")
    if config.whole_epochs > config.epochs:
        raise ValueError(f"--whole-epochs {config.whole_epochs} is more than --epochs {config.epochs}")
    if config.fold is not None and config.patience:
        raise ValueError("--patience goes by validation strips; with --fold there are none")
    device = _device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)

    strips = labelled_strips(config)
    split = resumed.split if resumed is not None else make_split(config, strips)
    chooses = config.fold is None
    watched = named(strips, split.validation if chooses else split.test)
    crops = _loader(config, strips, split, device, config.crop_width)
    whole = _loader(config, strips, split, device, WIDTH)

    network = _network(config, strips, split).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in stubs
    # The average follows quickly at first: short runs would otherwise be averaged with their beginning.
    averaged = ModelEmaV3(network, decay=config.ema_decay, use_warmup=True)
    mask_loss = MaskLoss(config.mask_loss, config.class_weights).to(device)
    network.freeze(config.frozen)
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    encoder = [p for name, p in trained if name.startswith("encoder.")]
    rest = [p for name, p in trained if not name.startswith("encoder.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": encoder, "lr": config.learning_rate * config.encoder_rate},
            {"params": rest, "lr": config.learning_rate},
        ],
        weight_decay=config.weight_decay,
    )
    steps = (config.epochs - config.whole_epochs) * len(crops[0]) + config.whole_epochs * len(whole[0])
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, steps, config.warm_up)
    )
    precision = _precision(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)

    start, best_score, best_epoch = 0, -1.0, 0
    if resumed is not None:
        network.load_state_dict(resumed.network)
        averaged.module.load_state_dict(resumed.averaged)
        optimizer.load_state_dict(resumed.optimizer)
        scheduler.load_state_dict(resumed.scheduler)
        scaler.load_state_dict(resumed.scaler)
        start, best_score, best_epoch = resumed.epoch, resumed.best_score, resumed.best_epoch

    config.out.mkdir(parents=True, exist_ok=True)
    _forget_rows_after(start, config.out / "metrics.csv")
    with SummaryWriter(config.out / "tensorboard", purge_step=start + 1) as board:
        for epoch in range(start, config.epochs):
            if config.patience and epoch - best_epoch >= config.patience * config.validate_every:
                print(f"stopped: no better score in {config.patience} validations", flush=True)
                break
            # Each epoch has its own seed, so that a resumed run draws what an unbroken one draws.
            torch.manual_seed(config.seed * 100_003 + epoch)
            loader, sampler = crops if epoch < config.epochs - config.whole_epochs else whole
            sampler.set_epoch(epoch)
            network.train()
            began = waited = time.perf_counter()
            waiting = 0.0
            sums = {"loss": 0.0, "mask_loss": 0.0, "class_loss": 0.0}
            progress = tqdm(loader, f"epoch {epoch + 1}/{config.epochs}", unit="batch", dynamic_ncols=True)
            for done, (images, masks) in enumerate(progress, 1):
                waiting += time.perf_counter() - waited
                images = images.to(
                    device, torch.float32, memory_format=torch.channels_last, non_blocking=True
                )
                masks = masks.to(device, torch.float32, non_blocking=True)
                with _autocast(device, precision):
                    mask_logits, class_logits = network(images)
                loss_of_masks = mask_loss(mask_logits, masks)
                present = masks.amax(dim=(2, 3))
                loss_of_classes = nn.functional.binary_cross_entropy_with_logits(class_logits, present)
                loss = loss_of_masks + config.class_loss * loss_of_classes

                optimizer.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                scaler.step(optimizer)
                scaler.update()
                scheduler.step()
                averaged.update(network, step=scheduler.last_epoch)

                terms = torch.stack([loss, loss_of_masks, loss_of_classes]).detach().tolist()
                for name, value in zip(sums, terms, strict=True):
                    sums[name] += value
                progress.set_postfix(loss=f"{sums['loss'] / done:.3f}", refresh=False)
                waited = time.perf_counter()
            seconds = time.perf_counter() - began
            row: dict[str, float] = {
                "epoch": epoch + 1,
                "learning_rate": float(scheduler.get_last_lr()[1]),
                "seconds": seconds,
                "waiting_share": waiting / seconds,
                **{name: total / len(loader) for name, total in sums.items()},
            }
            score = float("nan")
            is_last = epoch + 1 == config.epochs
            if watched and ((epoch + 1) % config.validate_every == 0 or is_last):
                scores = validate(averaged.module, watched, device, precision)
                score = mean_of([s.dice_positive for s in scores]) or 0.0
                row |= _columns(scores)
            _log(row, config.out / "metrics.csv", board)
            improved = score > best_score
            if improved:
                best_score, best_epoch = score, epoch + 1
            state = Checkpoint(
                config=config,
                split=split,
                epoch=epoch + 1,
                score=score,
                best_score=best_score,
                best_epoch=best_epoch,
                network=network.state_dict(),
                averaged=averaged.module.state_dict(),
                optimizer=optimizer.state_dict(),
                scheduler=scheduler.state_dict(),
                scaler=scaler.state_dict(),
            )
            if improved if chooses else is_last:
                checkpoints.save(state, best)
            checkpoints.save(state, last)
    return best


def learning_rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Rise linearly over the first ``warm_up`` share of the steps, then fall as a half cosine."""
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * (step - rising) / max(1, steps - rising))))


@torch.inference_mode()
def validate(
    network: nn.Module,
    strips: Sequence[LabelledStrip],
    device: torch.device,
    precision: torch.dtype,
    threshold: float = 0.5,
) -> tuple[ClassScore, ...]:
    """Score whole strips with a plain threshold: a quick look while training.

    Reported scores come from ``model_export.evaluate``, through the service's own code.
    """
    network.eval()
    overlaps: list[list[Overlap]] = []
    for image, truth in tqdm(_whole_strips(strips), "validating", len(strips), unit="strip", leave=False):
        with _autocast(device, precision):
            logits, _ = network(
                image.unsqueeze(0).to(device, torch.float32, memory_format=torch.channels_last)
            )
        found = (torch.sigmoid(logits[0]) >= threshold).cpu()
        overlaps.append(
            [
                Overlap(int(f.sum()), int(t.sum()), int((f & t).sum()))
                for f, t in zip(found, truth.bool(), strict=True)
            ]
        )
    return class_scores(overlaps)


def _whole_strips(strips: Sequence[LabelledStrip]) -> Iterator[Sample]:
    dataset = StripDataset(strips)
    return (dataset[Pick(index, 0)] for index in range(len(dataset)))


def _loader(
    config: TrainConfig, strips: list[LabelledStrip], split: Split, device: torch.device, width: int
) -> tuple[DataLoader[Sample], BalancedSampler]:
    """Make batches of as many pixels whatever the width of a sample, and as many of them an epoch."""
    samples, groups = training_samples(config, strips, split)
    batch_size = max(1, config.batch_size * config.crop_width // width)
    length = -(-config.samples_per_epoch // config.batch_size) * batch_size
    if width == config.crop_width:
        length = config.samples_per_epoch
    sampler = BalancedSampler(samples, length, groups, config.seed)
    loader = DataLoader(
        StripDataset(samples, width, build_transform(config.augment)),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
        persistent_workers=False,  # fresh workers take the epoch's seed, which makes resuming exact
    )
    return loader, sampler


def _network(config: TrainConfig, strips: Sequence[LabelledStrip], split: Split) -> SteelNetwork:
    if config.start_from is not None:
        before = checkpoints.load(config.start_from)
        if before.config.network != config.network:
            raise DataError(f"{config.start_from} holds another network: {before.config.network}")
        return checkpoints.restore_network(before)
    if config.encoder_weights in ("none", "imagenet"):
        return SteelNetwork(config.network, None if config.encoder_weights == "none" else "imagenet")
    network = SteelNetwork(config.network)
    training = set(split.train)
    sample = [strip for strip in strips if strip.name in training][:8]
    images = torch.stack([image for image, _ in _whole_strips(sample)]).float()
    load_folded_weights(network.encoder, Path(config.encoder_weights), (images - network.mean) / network.std)
    return network


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    if device.type == "cuda":
        hardware = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        hardware = torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if hardware else torch.float32


def _autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def _columns(scores: Sequence[ClassScore]) -> dict[str, float]:
    columns: dict[str, float] = {}
    for score in scores:
        for name in ("dice_positive", "recall", "false_alarm_rate"):
            value = getattr(score, name)
            columns[f"{name}_{score.class_id}"] = float("nan") if value is None else value
    columns["dice_positive"] = mean_of([s.dice_positive for s in scores]) or 0.0
    return columns


def _log(row: dict[str, float], path: Path, board: SummaryWriter) -> None:
    """Append a row to the CSV file, write it to TensorBoard and print the line that people read."""
    empty = dict.fromkeys(
        ["epoch", "learning_rate", "seconds", "waiting_share", "loss", "mask_loss", "class_loss"]
        + [
            f"{name}_{class_id}"
            for class_id in range(1, CLASS_COUNT + 1)
            for name in ("dice_positive", "recall", "false_alarm_rate")
        ]
        + ["dice_positive"],
        "",
    )
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(empty))
        if new:
            writer.writeheader()
        writer.writerow(empty | {name: f"{value:.6g}" for name, value in row.items()})
    for name, value in row.items():
        board.add_scalar(name, value, int(row["epoch"]))
    tail = f", validation Dice+ {row['dice_positive']:.3f}" if "dice_positive" in row else ""
    print(
        f"epoch {int(row['epoch'])}: loss {row['loss']:.3f}, {row['seconds']:.0f} s, "
        f"{row['waiting_share']:.1%} of it waiting for data{tail}",
        flush=True,
    )


def _forget_rows_after(epoch: int, path: Path) -> None:
    """Drop rows of epochs that will be run (again)."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if int(row["epoch"]) <= epoch]
    if not kept:
        path.unlink()
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
