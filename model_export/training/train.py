"""The training loop, read from top to bottom."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before timm)

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from tqdm import tqdm

from model_export.data.dataset import BalancedSampler, Sample, SampleIndex, StripDataset
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.transforms import build_transform
from model_export.errors import DataError
from model_export.metrics import Overlap, class_scores, mean_of
from model_export.network.folded_weights import load_folded_weights
from model_export.network.steel_network import SteelNetwork
from model_export.training import checkpoint as checkpoints
from model_export.training.checkpoint import Checkpoint
from model_export.training.config import TrainConfig
from model_export.training.log import TrainingLog, score_columns
from model_export.training.losses import MaskLoss
from model_export.training.processes import Processes, joined
from model_export.training.sources import labelled_strips, make_split, named, training_samples
from model_export.training.teacher import Teacher
from service.geometry import WIDTH
from service.model.metadata import ClassScore, Split


def train(config: TrainConfig) -> Path:
    """Train as configured and return the path of the best checkpoint.

    Started by torchrun, all its processes train one network together.
    """
    with joined(config.device) as processes:
        return _train(config, processes)


def _train(config: TrainConfig, processes: Processes) -> Path:
    last, best = config.out / "last.pt", config.out / "best.pt"
    resumed = checkpoints.load(last) if config.resume else None
    if resumed is not None:
        data = config.data or resumed.config.data
        config = replace(resumed.config, out=config.out, data=data, resume=True, threads=config.threads)
    elif last.exists():
        raise DataError(f"{config.out} holds a training: --resume goes on with it, another --out starts anew")
    _check(config, processes)
    device = _device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)

    strips = labelled_strips(config)
    split = resumed.split if resumed is not None else make_split(config, strips)
    chooses = config.fold is None
    watched = named(strips, split.validation if chooses else split.test)
    crops = _loader(config, strips, split, device, config.crop_width, processes)
    whole = _loader(config, strips, split, device, WIDTH, processes)

    network = _network(config, strips, split).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in stubs
    # The average follows quickly at first: short runs would otherwise be averaged with their beginning.
    averaged = ModelEmaV3(network, decay=config.ema_decay, use_warmup=True)
    mask_loss = MaskLoss(config.mask_loss, config.class_weights).to(device)
    teacher = Teacher(config.teacher, device) if config.teacher is not None else None
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
    answer: nn.Module = DecoderLogits(network)
    if processes.count > 1:
        # An encoder that ends early keeps its later stages, which nothing waits for.
        answer = nn.parallel.DistributedDataParallel(
            answer, find_unused_parameters=config.network.encoder_depth < 5
        )

    log = TrainingLog(config.out, start) if processes.is_first else None
    for epoch in range(start, config.epochs):
        if config.patience and epoch - best_epoch >= config.patience * config.validate_every:
            if processes.is_first:
                print(f"stopped: no better score in {config.patience} validations", flush=True)
            break
        # Each epoch has its own seed, so that a resumed run draws what an unbroken one draws.
        torch.manual_seed(config.seed * 100_003 + epoch + processes.rank * 1_000_003)
        loader, sampler = crops if epoch < config.epochs - config.whole_epochs else whole
        sampler.set_epoch(epoch)
        network.train()
        began = waited = time.perf_counter()
        waiting = 0.0
        sums = torch.zeros(len(_LOSSES), dtype=torch.float64, device=device)
        progress = tqdm(
            loader,
            f"epoch {epoch + 1}/{config.epochs}",
            unit="batch",
            dynamic_ncols=True,
            disable=not processes.is_first,
        )
        for done, (images, masks) in enumerate(progress, 1):
            waiting += time.perf_counter() - waited
            images = images.to(device, torch.float32, memory_format=torch.channels_last, non_blocking=True)
            masks = masks.to(device, torch.float32, non_blocking=True)
            with _autocast(device, precision):
                mask_logits, class_logits = answer(images)
            loss_of_masks = mask_loss(mask_logits.float(), network.downsample(masks))
            present = masks.amax(dim=(2, 3))
            loss_of_classes = binary_cross_entropy_with_logits(class_logits.float(), present)
            loss = loss_of_masks + config.class_loss * loss_of_classes
            if teacher is not None:
                with _autocast(device, precision):
                    pixels, classes = teacher.answer(images, mask_logits.shape[2:])
                imitation = _TEACHER_FACTOR * binary_cross_entropy_with_logits(mask_logits.float(), pixels)
                imitation += config.class_loss * binary_cross_entropy_with_logits(
                    class_logits.float(), classes
                )
                loss = (1 - config.teacher_share) * loss + config.teacher_share * imitation

            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            averaged.update(network, step=scheduler.last_epoch)

            sums += torch.stack([loss, loss_of_masks, loss_of_classes]).detach()
            if not progress.disable:
                progress.set_postfix(loss=f"{float(sums[0]) / done:.3f}", refresh=False)
            waited = time.perf_counter()
        seconds = time.perf_counter() - began
        means = processes.mean(sums / len(loader)).tolist()
        is_last = epoch + 1 == config.epochs
        score = float("nan")
        if log is not None:
            row: dict[str, float] = {
                "epoch": epoch + 1,
                "learning_rate": float(scheduler.get_last_lr()[1]),
                "seconds": seconds,
                "waiting_share": waiting / seconds,
                **dict(zip(_LOSSES, means, strict=True)),
            }
            if watched and ((epoch + 1) % config.validate_every == 0 or is_last):
                scores = validate(averaged.module, watched, device, precision)
                score = mean_of([s.dice_positive for s in scores]) or 0.0
                row |= score_columns(scores)
            log.add(row)
        score = processes.from_first(score)
        improved = score > best_score
        if improved:
            best_score, best_epoch = score, epoch + 1
        if not processes.is_first:
            continue
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
    if log is not None:
        log.close()
    return best


_LOSSES = ("loss", "mask_loss", "class_loss")
_TEACHER_FACTOR = 5.0
"""Of the teacher's masks, as bce has it in the default --mask-loss."""


class DecoderLogits(nn.Module):
    """What is trained: the network up to the decoder's own resolution, where the loss is computed."""

    def __init__(self, network: SteelNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Answer ``SteelNetwork.decoder_logits``."""
        return self.network.decoder_logits(images)


def _check(config: TrainConfig, processes: Processes) -> None:
    if not 32 <= config.crop_width <= WIDTH or config.crop_width % 32:
        raise ValueError(f"--crop-width is a multiple of 32 up to {WIDTH}, got {config.crop_width}")
    if config.whole_epochs > config.epochs:
        raise ValueError(f"--whole-epochs {config.whole_epochs} is more than --epochs {config.epochs}")
    if config.fold is not None and config.patience:
        raise ValueError("--patience goes by validation strips; with --fold there are none")
    if config.batch_size % processes.count:
        raise ValueError(
            f"--batch-size {config.batch_size} is that of all processes together and does not fall into "
            f"{processes.count} equal parts"
        )


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

    Reported scores come from ``model_export.evaluation.evaluate``, through the service's own code.
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
    return (dataset[SampleIndex(index, 0)] for index in range(len(dataset)))


def _loader(
    config: TrainConfig,
    strips: list[LabelledStrip],
    split: Split,
    device: torch.device,
    width: int,
    processes: Processes,
) -> tuple[DataLoader[Sample], BalancedSampler]:
    """Make batches of as many pixels whatever the width of a sample, and as many of them an epoch."""
    samples, groups = training_samples(config, strips, split)
    batch_size = max(1, config.batch_size * config.crop_width // width // processes.count)
    length = -(-config.samples_per_epoch // config.batch_size) * batch_size * processes.count
    if width == config.crop_width:
        length = config.samples_per_epoch
    sampler = BalancedSampler(samples, length, groups, config.seed, (processes.rank, processes.count))
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
        if replace(before.config.network, input_reduction=config.network.input_reduction) != config.network:
            raise DataError(f"{config.start_from} holds another network: {before.config.network}")
        return checkpoints.restore_network(replace(before, config=config))
    if config.encoder_weights in ("none", "imagenet"):
        return SteelNetwork(config.network, None if config.encoder_weights == "none" else "imagenet")
    network = SteelNetwork(config.network)
    training = set(split.train)
    sample = [strip for strip in strips if strip.name in training][:8]
    images = torch.stack([image for image, _ in _whole_strips(sample)]).float()
    load_folded_weights(network.encoder, Path(config.encoder_weights), network.encoder_input(images))
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
