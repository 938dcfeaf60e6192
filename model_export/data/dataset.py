"""Training samples: crops of strips that are opened one at a time, drawn with balanced classes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.errors import DataError


class SampleIndex(NamedTuple):
    """Index of one sample: the strip, and the class that its crop should show."""

    strip: int
    """Index in the data set."""
    focus: int
    """Class id, 1..4; 0 for a crop without defects, if the strip has room for one."""


class Sample(NamedTuple):
    """One training sample."""

    image: Tensor
    """uint8 ``[1, height, width]``."""
    masks: Tensor
    """uint8 ``[4, height, width]``, 0 or 1."""


Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Augmentation of an image and its masks together."""


class StripDataset(Dataset[Sample]):
    """Data set that opens, crops and transforms one strip at a time; it keeps labels, no pixels.

    Args:
        strips: source of the samples.
        crop_width: columns of a sample; None returns whole strips.
        transform: applied to image and masks together.
    """

    def __init__(
        self,
        strips: Sequence[LabelledStrip],
        crop_width: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.strips = strips
        self.crop_width = crop_width
        self.transform = transform

    def __len__(self) -> int:
        return len(self.strips)

    def __getitem__(self, index: SampleIndex | int) -> Sample:
        number, focus = index if isinstance(index, tuple) else (index, 0)
        strip, masks = self.strips[number].load()
        if self.crop_width is not None:
            columns = crop_columns(masks, self.crop_width, focus)
            strip, masks = strip[:, columns], masks[:, :, columns]
        image = torch.tensor(np.ascontiguousarray(strip)).unsqueeze(0)
        targets = torch.from_numpy(np.ascontiguousarray(masks)).to(torch.uint8)
        if self.transform is not None:
            image, targets = self.transform(image, targets)
        return Sample(image, targets)


def crop_columns(masks: Masks, width: int, focus: int) -> slice:
    """Choose the columns of a crop around a random defect column of class ``focus``.

    Without a focus the crop holds no defect if the strip has room for one; otherwise it is anywhere.
    """
    full = masks.shape[2]
    columns = np.flatnonzero(masks[focus - 1].any(axis=0)) if focus else np.empty(0, dtype=np.int64)
    if columns.size:
        jitter = int(torch.randint(-width // 3, width // 3 + 1, ()))
        centre = int(columns[int(torch.randint(columns.size, ()))]) + jitter
        left = min(max(centre - width // 2, 0), full - width)
    else:
        lefts = _clean_crops(masks, width) if not focus else np.empty(0, dtype=np.int64)
        choices = lefts if lefts.size else np.arange(full - width + 1)
        left = int(choices[int(torch.randint(choices.size, ()))])
    return slice(left, left + width)


def _clean_crops(masks: Masks, width: int) -> npt.NDArray[np.int64]:
    """Return the first column of every crop without defects."""
    before = np.concatenate([[0], np.cumsum(masks.any(axis=(0, 1)))])
    return np.flatnonzero(before[width:] == before[:-width])


class BalancedSampler(Sampler[SampleIndex]):
    """Sampler that draws each class, and clean strips, equally often.

    Args:
        strips: the strips to draw from.
        length: samples per epoch.
        groups: groups of strip indices, each with its share of the samples; classes are balanced within a
            group.
        seed: seed of the draws; together with ``set_epoch`` it makes every epoch reproducible.
        part: (rank, world size) if several processes share an epoch; all parts have the same length.

    Raises:
        DataError: if there is no strip to draw.
    """

    def __init__(
        self,
        strips: Sequence[LabelledStrip],
        length: int,
        groups: Iterable[tuple[Sequence[int], float]],
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.rank, self.world_size = part
        self.length = -(-length // self.world_size)
        self.seed = seed
        self.epoch = 0
        self.groups: list[tuple[list[tuple[int, list[int]]], float]] = []
        for indices, share in groups:
            cells: dict[int, list[int]] = {}
            for index in indices:
                for class_id in strips[index].classes or {0}:
                    cells.setdefault(class_id, []).append(index)
            if cells and share > 0:
                self.groups.append((sorted(cells.items()), share))
        if not self.groups:
            raise DataError("there are no strips to draw from")

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch to draw next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[SampleIndex]:
        rng = np.random.default_rng((self.seed, self.epoch))
        shares = np.array([share for _, share in self.groups])
        for number in range(self.length * self.world_size):
            cells = self.groups[int(rng.choice(len(shares), p=shares / shares.sum()))][0]
            class_id, indices = cells[int(rng.integers(len(cells)))]
            index = SampleIndex(indices[int(rng.integers(len(indices)))], class_id)
            if number % self.world_size == self.rank:
                yield index
