"""Overlaps of predicted and true masks, through the service's own postprocessing."""

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.tile import Tile
from model_export.evaluation.frames import FramePrediction, predict_image
from model_export.evaluation.instances import count_instances
from model_export.evaluation.torch_session import SupportsInfer
from model_export.metrics import Overlap
from service.model.metadata import OperatingPoint
from service.model.postprocess import ClassMask


def predict_strips(
    session: SupportsInfer, strips: Sequence[LabelledStrip], tile: Tile, title: str = "scoring"
) -> Iterator[tuple[Masks, FramePrediction]]:
    """Run strips one at a time; yield the true masks and the answer of each."""
    for strip in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        yield truth, predict_image(session, image, tile, strip.name)


def measure_overlaps(prediction: FramePrediction, truth: Masks, point: OperatingPoint) -> list[Overlap]:
    """Return the overlap of predicted and true masks of one strip, per class."""
    return overlaps_of(prediction.at(point, range(len(truth))), truth)


def overlaps_of(found: Sequence[ClassMask], truth: Masks) -> list[Overlap]:
    """Return the overlap of an answer with the true masks of a strip, per class."""
    return [
        Overlap(
            predicted=one.area,
            true=int(np.count_nonzero(mask)),
            intersection=0 if one.mask is None else int(np.count_nonzero(one.mask & mask.T)),
            instances=count_instances(one.mask, mask.T),
        )
        for one, mask in zip(found, truth, strict=True)
    ]


def measure_overlaps_at(
    session: SupportsInfer, strips: Sequence[LabelledStrip], tile: Tile, points: Sequence[OperatingPoint]
) -> list[list[list[Overlap]]]:
    """Return the overlaps at every operating point, per strip and class; each strip is run once."""
    found: list[list[list[Overlap]]] = [[] for _ in points]
    for truth, prediction in predict_strips(session, strips, tile):
        for point, collected in zip(points, found, strict=True):
            collected.append(measure_overlaps(prediction, truth, point))
    return found
