"""Training samples: crops of strips that are opened one at a time, drawn with balanced classes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from model_export.data.labelled_strip import CLEAN, LabelledStrip, Masks
from model_export.data.soft_targets import SoftTarget, SoftTargets, UnlabelledStrip
from model_export.data.tile import Shape, pad_planes
from model_export.errors import DataError
from service.model.tiles import mirror


class SampleIndex(NamedTuple):
    """Index of one sample: the strip, and the class that its crop should show."""

    strip: int
    """Index in the data set."""
    focus: int
    """Position of the class; ``CLEAN`` for a crop without defects, if the strip has room for one."""


class Sample(NamedTuple):
    """One training sample."""

    image: Tensor
    """uint8 ``[1, height, width]``."""
    masks: Tensor
    """uint8 ``[classes, height, width]``, 0 or 1."""
    soft_masks: Tensor
    """uint8 ``[classes, height, width]``: 255 x the teachers' probability; ``[0, ...]`` without them."""
    soft_classes: Tensor
    """float32 ``[classes]``: the teachers' probability that the sample shows the class; 0 without them."""
    weights: Tensor
    """float32 ``[2]``: weights of the truth and of the teachers in the loss."""


Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Augmentation of an image and its masks together."""


_TRUTH = 128
"""Bit of a byte that holds the truth; the others hold the teachers' probability in steps of 1/128."""


class StripDataset(Dataset[Sample]):
    """Data set that opens, crops and transforms one strip at a time; it keeps labels, no pixels.

    Args:
        strips: source of the samples.
        crop: rows and columns of a sample, which larger strips are cropped to and smaller ones padded to by
            mirroring; None returns whole strips.
        transform: applied to image and masks together.
        targets: outputs of teachers to learn besides the truth; unlabelled strips have no other.
        teacher_share: weight of the teachers for labelled strips that they were asked about.
    """

    def __init__(
        self,
        strips: Sequence[LabelledStrip],
        crop: Shape | None = None,
        transform: Transform | None = None,
        targets: SoftTargets | None = None,
        teacher_share: float = 0.0,
    ) -> None:
        self.strips = strips
        self.crop = crop
        self.transform = transform
        self.targets = targets
        self.teacher_share = teacher_share

    def __len__(self) -> int:
        return len(self.strips)

    def __getitem__(self, index: SampleIndex | int) -> Sample:
        number, focus = index if isinstance(index, tuple) else (index, CLEAN)
        source = self.strips[number]
        strip, masks = source.load()
        found = None if self.targets is None else self.targets.find(strip)
        soft = None if found is None else found.enlarge(strip.shape)
        unlabelled = isinstance(source, UnlabelledStrip)
        share = 1.0 if unlabelled else 0.0 if found is None else self.teacher_share
        rows, columns = slice(None), slice(None)
        if self.crop is not None:
            height, width = self.crop
            strip, masks = mirror(strip, height, width), pad_planes(masks, height, width)
            soft = None if soft is None else pad_planes(soft, height, width)
            rows, columns = choose_window(masks, self.crop, focus)
        # Truth and teachers share a byte, so that half as many planes are moved: to the nearest pixel, which
        # leaves bytes as they are.
        planes = masks[:, rows, columns].astype(np.uint8) * (0 if unlabelled else _TRUTH)
        if soft is not None:
            planes |= soft[:, rows, columns] // 2
        image = torch.tensor(np.ascontiguousarray(strip[rows, columns])).unsqueeze(0)
        moved = torch.from_numpy(np.ascontiguousarray(planes))
        if self.transform is not None:
            image, moved = self.transform(image, moved)
        soft_masks = moved[: 0 if self.targets is None else len(moved)] % _TRUTH * 2
        soft_classes = torch.zeros(len(masks)) if found is None else _shown(found, soft_masks)
        weights = torch.tensor([1 - share, share])
        return Sample(image, moved // _TRUTH, soft_masks, soft_classes, weights)


def _shown(target: SoftTarget, soft_masks: Tensor) -> Tensor:
    """Return the probability of each class on a sample: less where the sample leaves its mask out."""
    strongest = torch.from_numpy(target.masks.max(axis=(1, 2)) // 2).float()
    left = soft_masks.amax(dim=(1, 2)).float() / 2
    kept = torch.where(strongest > 0, left / strongest.clamp_min(1), 1.0)
    return torch.from_numpy(target.classes).float() * kept


_TRIES = 20
"""Windows of a large strip among which one without defects is looked for."""


def choose_window(masks: Masks, shape: Shape, focus: int) -> tuple[slice, slice]:
    """Choose rows and columns of a crop around a random defect pixel of class ``focus``.

    With ``CLEAN`` the crop holds no defect if the strip has room for one; otherwise it is anywhere.

    Args:
        masks: bool ``[classes, height, width]``, not smaller than the crop.
        shape: rows and columns of the crop.
        focus: position of the class, or ``CLEAN``.
    """
    height, width = shape
    if masks.shape[1] == height:
        return slice(0, height), crop_columns(masks, width, focus)
    pixels = np.flatnonzero(masks[focus]) if focus != CLEAN else np.empty(0, dtype=np.int64)
    if pixels.size:
        row, column = divmod(int(pixels[int(torch.randint(pixels.size, ()))]), masks.shape[2])
        return _around(row, height, masks.shape[1]), _around(column, width, masks.shape[2])
    for _ in range(_TRIES):
        top = int(torch.randint(masks.shape[1] - height + 1, ()))
        left = int(torch.randint(masks.shape[2] - width + 1, ()))
        window = slice(top, top + height), slice(left, left + width)
        if focus != CLEAN or not masks[:, window[0], window[1]].any():
            break
    return window


def crop_columns(masks: Masks, width: int, focus: int) -> slice:
    """Choose the columns of a crop around a random defect column; see ``choose_window``."""
    full = masks.shape[2]
    columns = np.flatnonzero(masks[focus].any(axis=0)) if focus != CLEAN else np.empty(0, dtype=np.int64)
    if columns.size:
        jitter = _jitter(width)
        centre = int(columns[int(torch.randint(columns.size, ()))]) + jitter
        left = min(max(centre - width // 2, 0), full - width)
    else:
        lefts = _clean_crops(masks, width) if focus == CLEAN else np.empty(0, dtype=np.int64)
        choices = lefts if lefts.size else np.arange(full - width + 1)
        left = int(choices[int(torch.randint(choices.size, ()))])
    return slice(left, left + width)


def _around(pixel: int, length: int, full: int) -> slice:
    """Return a window of a length that holds a pixel near its middle."""
    start = min(max(pixel + _jitter(length) - length // 2, 0), full - length)
    return slice(start, start + length)


def _jitter(length: int) -> int:
    return int(torch.randint(-length // 3, length // 3 + 1, ()))


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
                for kind in strips[index].classes or {CLEAN}:
                    cells.setdefault(kind, []).append(index)
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
            kind, indices = cells[int(rng.integers(len(cells)))]
            index = SampleIndex(indices[int(rng.integers(len(indices)))], kind)
            if number % self.world_size == self.rank:
                yield index
