"""Copy-paste augmentation: a clean strip with the defects of another strip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.tile import Shape, pad_planes
from service.geometry import Strip
from service.model.tiles import mirror

_COARSE = 4
"""Factor by which strips are reduced to average the surroundings of a pixel."""
_MARGIN = 2
"""Reduced pixels around a defect that are copied with it and fade out into the host."""
_BLACK = 20
"""Grey value; where the mean of the surroundings is darker, the strip has ended."""


@dataclass(frozen=True)
class PastedStrip:
    """A clean strip of ``hosts`` with the defects of ``donor``, randomly shifted and mirrored.

    Every load makes another strip, with random numbers of torch's generator.
    Source: Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance
    Segmentation", 2021.
    """

    donor: LabelledStrip
    hosts: Sequence[LabelledStrip]

    @property
    def name(self) -> str:
        """File name."""
        return f"pasted-{self.donor.name}"

    @property
    def classes(self) -> frozenset[int]:
        """Positions of the classes on the donor."""
        return self.donor.classes

    def load(self) -> tuple[Strip, Masks]:
        """Make a strip of the host's size, and its masks."""
        host = self.hosts[int(torch.randint(len(self.hosts), ()))].load()[0]
        strip, masks = self.donor.load()
        if torch.rand(()) < 0.5:
            strip, masks = strip[:, ::-1], masks[:, :, ::-1]
        if torch.rand(()) < 0.5:
            strip, masks = strip[::-1], masks[:, ::-1]
        shift = int(torch.randint(strip.shape[1], ()))
        strip, masks = _fit(np.roll(strip, shift, axis=1), np.roll(masks, shift, axis=2), host.shape)
        return paste(host, strip, masks)


def _fit(strip: Strip, masks: Masks, shape: Shape) -> tuple[Strip, Masks]:
    """Mirror and crop a strip to a size."""
    height, width = shape
    return (
        mirror(strip, height, width)[:height, :width],
        pad_planes(masks, height, width)[:, :height, :width],
    )


def paste(host: Strip, strip: Strip, masks: Masks) -> tuple[Strip, Masks]:
    """Blend the masked part of ``strip`` into ``host``, but not beyond the host's edge.

    The defect keeps its contrast against its own strip and takes the brightness of the host.

    Args:
        host: uint8 ``[height, width]``.
        strip: of the same size.
        masks: of the strip, bool ``[classes, height, width]``.

    Returns:
        The blended strip and the masks that are left.
    """
    size = (host.shape[1], host.shape[0])
    coarse = (max(1, size[0] // _COARSE), max(1, size[1] // _COARSE))
    mean = Image.fromarray(host).resize(coarse, Image.Resampling.BOX).resize(size, Image.Resampling.BILINEAR)
    steel = np.asarray(mean) >= _BLACK
    masks = masks & steel
    region = masks.any(axis=0)
    if not region.any():
        return host, masks
    grown = Image.fromarray(region.astype(np.uint8) * 255).reduce(_COARSE)
    grown = grown.point(lambda level: 255 * (level > 0)).filter(ImageFilter.MaxFilter(2 * _MARGIN + 1))
    grown = grown.filter(ImageFilter.BoxBlur(_MARGIN - 1))
    alpha = np.asarray(grown.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255 * steel
    around = (alpha > 0) & ~region & (strip >= _BLACK)
    own = float(np.median(strip[around])) if around.any() else float(np.median(strip[region]))
    there = float(np.median(host[region]))
    moved = strip * (there / max(own, 1.0))
    blended = host * (1 - alpha) + moved * alpha
    return blended.round().clip(0, 255).astype(np.uint8), masks
