"""``train``: the training loop, read from top to bottom."""

import math
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import model_export.network.torchvision_import  # noqa: F401  # isort: skip  (must come before timm)

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from tqdm import tqdm

from model_export.data.choose import spread_by_class
from model_export.data.classes import check_same
from model_export.errors import DataError, TrainingError
from model_export.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model_export.training.config import TrainConfig, check_class_weights, check_config, check_resumed
from model_export.training.device import autocast, choose_device, choose_precision
from model_export.training.initial_network import build_network
from model_export.training.lineage import trace_seen
from model_export.training.loaders import build_loader, move_batch
from model_export.training.log import TrainingLog, score_columns
from model_export.training.mlflow_run import open_mlflow_run
from model_export.training.objective import DecoderLogits, Losses, Objective
from model_export.training.optimization import build_optimizer, build_scheduler
from model_export.training.process_group import ProcessGroup, join_process_group
from model_export.training.remarks import describe, remark
from model_export.training.run_file import RUN_FILE, write_run_file
from model_export.training.sources import (
    find_tile,
    list_classes,
    list_strips,
    make_split,
    open_soft_targets,
    select_strips,
)
from model_export.training.validation import validate


def train(config: TrainConfig) -> Path:
    """Train as configured and return the path of the best checkpoint.

    Under torchrun all processes train one network together.
    """
    with join_process_group(config.device) as group, ExitStack() as logs:
        return _train(config, group, logs)


def _train(config: TrainConfig, group: ProcessGroup, logs: ExitStack) -> Path:
    # Configuration: a resumed training has that of its checkpoint.
    last, best = config.out / "last.pt", config.out / "best.pt"
    resumed = load_checkpoint(last) if config.resume else None
    if resumed is not None:
        check_resumed(config, resumed.config, defaults_too=False)
        config = replace(
            resumed.config,
            out=config.out,
            data=config.data or resumed.config.data,
            resume=True,
            device=resumed.config.device if config.device == "auto" else config.device,
            threads=config.threads,
            mlflow=config.mlflow,
        )
    elif last.exists():
        raise DataError(f"{config.out} holds a training: --resume continues it, another --out starts anew")
    check_config(config, group.world_size)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)

    # Data: crops first, whole tiles in the last epochs.
    strips = list_strips(config)
    classes = list_classes(config)
    if resumed is not None and config.data is not None:
        check_same(resumed.classes, config.data, str(last))
    check_class_weights(config, len(classes))
    tile = resumed.tile if resumed is not None else find_tile(config, strips)
    split = resumed.split if resumed is not None else make_split(config, strips)
    chooses_best = config.fold is None
    held_out = select_strips(strips, split.validation if chooses_best else split.test)
    targets = open_soft_targets(config)
    seen = resumed.seen if resumed is not None else trace_seen(config, strips, split, targets, classes)
    lacking = remark(select_strips(strips, split.train), held_out if chooses_best else [], classes)
    if group.is_main and resumed is None:
        print("\n".join([describe(classes, tile, split), *lacking]), flush=True)
    crop = tile.height, min(config.crop_width, tile.width)
    crops = build_loader(config, strips, split, device, crop, crop, group, targets)
    whole = build_loader(config, strips, split, device, tile.shape, crop, group, targets)

    # Network, loss and optimizer.
    network = build_network(config, strips, split, classes, tile).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in stubs
    # With a warm-up the average follows quickly at first; short runs would otherwise average their start.
    averaged = ModelEmaV3(network, decay=config.ema_decay, use_warmup=True)
    objective = Objective(config, network, device, precision)
    network.freeze(config.frozen)
    optimizer = build_optimizer(config, network)
    steps = (config.epochs - config.whole_epochs) * len(crops[0]) + config.whole_epochs * len(whole[0])
    scheduler = build_scheduler(optimizer, steps, config.warm_up)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)

    # State: from the checkpoint, if the training resumes.
    start, best_score, best_epoch = 0, -math.inf, 0
    if resumed is not None:
        start, best_score, best_epoch = resumed.epoch, resumed.best_score, resumed.best_epoch
    if resumed is not None and start < config.epochs:
        if not resumed.resumes:
            raise DataError(f"{last} holds weights only, as best.pt does: expected the last.pt of a training")
        network.load_state_dict(resumed.network)
        averaged.module.load_state_dict(resumed.averaged)
        optimizer.load_state_dict(resumed.optimizer)
        scheduler.load_state_dict(resumed.scheduler)
        scaler.load_state_dict(resumed.scaler)
    # A shallower encoder keeps its later stages, which are unused and must not be waited for.
    model = group.parallel(DecoderLogits(network), find_unused_parameters=config.network.encoder_depth < 5)

    log = None
    if group.is_main:
        write_run_file(config, "train")
        class_ids = [kind.id for kind in classes]
        tracked = logs.enter_context(open_mlflow_run(config.out, config)) if config.mlflow else None
        log = logs.enter_context(closing(TrainingLog(config.out, class_ids, start, tracked)))
    for epoch in range(start, config.epochs):
        if config.patience and epoch - best_epoch >= config.patience * config.validate_every:
            if group.is_main:
                print(f"stopped: no better score in {config.patience} validations", flush=True)
            break

        # Train. Each epoch has its own seed, so that a resumed run draws what an uninterrupted one draws.
        torch.manual_seed(config.seed * 100_003 + epoch + group.rank * 1_000_003)
        loader, sampler = crops if epoch < config.epochs - config.whole_epochs else whole
        sampler.set_epoch(epoch)
        network.train()
        sums = torch.zeros(len(Losses._fields), dtype=torch.float64, device=device)
        waiting = 0.0
        began = waiting_since = time.perf_counter()
        progress = tqdm(
            loader,
            f"epoch {epoch + 1}/{config.epochs}",
            unit="batch",
            dynamic_ncols=True,
            disable=not group.is_main,
        )
        for batches, loaded in enumerate(progress, 1):
            waiting += time.perf_counter() - waiting_since
            batch = move_batch(loaded, device)
            with autocast(device, precision):
                mask_logits, class_logits = model(batch.image)
            losses = objective(batch, mask_logits, class_logits)
            value = float(losses.loss.detach())
            if not math.isfinite(value):
                kept = f"{last} holds the epochs before" if last.exists() else "nothing was saved"
                raise TrainingError(
                    f"the loss is {value} in epoch {epoch + 1}, batch {batches}: lower "
                    f"--learning-rate or take --precision fp32; {kept}"
                )

            optimizer.zero_grad(set_to_none=True)
            scaler.scale(losses.loss).backward()  # type: ignore[no-untyped-call]  # missing in stubs
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            averaged.update(network, step=scheduler.last_epoch)

            sums += torch.stack(losses).detach()
            if not progress.disable:
                progress.set_postfix(loss=f"{float(sums[0]) / batches:.3f}", refresh=False)
            waiting_since = time.perf_counter()
        seconds = time.perf_counter() - began
        means = group.mean(sums / len(loader)).tolist()

        # Validate and log, in the main process only.
        is_last = epoch + 1 == config.epochs
        score = float("nan")
        if log is not None:
            row: dict[str, float] = {
                "epoch": epoch + 1,
                "learning_rate": float(scheduler.get_last_lr()[-1]),
                "seconds": seconds,
                "waiting_share": waiting / seconds,
                **dict(zip(Losses._fields, means, strict=True)),
            }
            if held_out and ((epoch + 1) % config.validate_every == 0 or is_last):
                validation = validate(
                    averaged.module,
                    held_out,
                    objective,
                    device,
                    precision,
                    config.class_loss,
                    classes=classes,
                    tile=tile,
                    pictured=frozenset(strip.name for strip in spread_by_class(held_out, config.pictures)),
                )
                log.add_examples(validation.examples, epoch + 1)
                score = validation.score
                row |= {"validation_loss": validation.loss, **score_columns(validation.scores)}
            log.add(row)

        # Save the checkpoints. Every process needs the score, to stop at the same epoch.
        score = group.broadcast(score)
        improved = score > best_score
        if improved:
            best_score, best_epoch = score, epoch + 1
        if not group.is_main:
            continue
        state = Checkpoint(
            config=config,
            classes=classes,
            tile=tile,
            split=split,
            seen=seen,
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
        if improved if chooses_best else is_last:
            save_checkpoint(state.without_state(), best)
        save_checkpoint(state.without_state() if is_last else state, last)
    if log is not None:
        log.add_files([best, config.out / RUN_FILE])
    return best
