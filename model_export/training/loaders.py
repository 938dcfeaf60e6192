"""Batches of training samples."""

import math

import torch
from torch.utils.data import DataLoader

from model_export.data.dataset import BalancedSampler, Sample, StripDataset
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.soft_targets import SoftTargets
from model_export.data.tile import Shape
from model_export.data.transforms import build_transform
from model_export.training.config import TrainConfig
from model_export.training.process_group import ProcessGroup
from model_export.training.sources import list_samples
from service.model.metadata import Split


def build_loader(
    config: TrainConfig,
    strips: list[LabelledStrip],
    split: Split,
    device: torch.device,
    shape: Shape,
    reference: Shape,
    group: ProcessGroup,
    targets: SoftTargets | None = None,
) -> tuple[DataLoader[Sample], BalancedSampler]:
    """Build the loader of samples of ``shape``, and its sampler.

    Whatever the shape, a batch holds the same number of pixels, those of ``batch_size`` samples of the shape
    ``reference``, and an epoch the same number of batches.
    """
    samples, shares = list_samples(config, strips, split, targets)
    batch_size = max(1, config.batch_size * math.prod(reference) // math.prod(shape) // group.world_size)
    if shape == reference:
        length = config.samples_per_epoch
    else:
        batches = -(-config.samples_per_epoch // config.batch_size)
        length = batches * batch_size * group.world_size
    sampler = BalancedSampler(samples, length, shares, config.seed, (group.rank, group.world_size))
    loader = DataLoader(
        StripDataset(samples, shape, build_transform(config.augment), targets, config.teacher_share),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
        persistent_workers=False,  # new workers take the epoch's seed, so that resuming is exact
    )
    return loader, sampler


def move_batch(batch: Sample, device: torch.device) -> Sample:
    """Copy a batch to a device; image and masks become float32."""
    return Sample(
        image=batch.image.to(device, torch.float32, memory_format=torch.channels_last, non_blocking=True),
        masks=batch.masks.to(device, torch.float32, non_blocking=True),
        soft_masks=batch.soft_masks.to(device, non_blocking=True),
        soft_classes=batch.soft_classes.to(device, non_blocking=True),
        weights=batch.weights.to(device, non_blocking=True),
    )
