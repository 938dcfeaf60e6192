"""Batches of training samples, and whole strips for validation."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader

from model_export.data.dataset import BalancedSampler, Sample, SampleIndex, StripDataset
from model_export.data.labelled_strip import LabelledStrip
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
    width: int,
    group: ProcessGroup,
) -> tuple[DataLoader[Sample], BalancedSampler]:
    """Build the loader of samples that are ``width`` columns wide, and its sampler.

    Whatever the width, a batch holds the same number of pixels and an epoch the same number of batches.
    """
    samples, shares = list_samples(config, strips, split)
    batch_size = max(1, config.batch_size * config.crop_width // width // group.world_size)
    if width == config.crop_width:
        length = config.samples_per_epoch
    else:
        batches = -(-config.samples_per_epoch // config.batch_size)
        length = batches * batch_size * group.world_size
    sampler = BalancedSampler(samples, length, shares, config.seed, (group.rank, group.world_size))
    loader = DataLoader(
        StripDataset(samples, width, build_transform(config.augment)),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
        persistent_workers=False,  # new workers take the epoch's seed, so that resuming is exact
    )
    return loader, sampler


def whole_strips(strips: Sequence[LabelledStrip]) -> Iterator[Sample]:
    """Load strips one after the other, uncropped and without augmentation."""
    dataset = StripDataset(strips)
    return (dataset[SampleIndex(index, 0)] for index in range(len(dataset)))
