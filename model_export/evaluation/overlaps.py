"""Overlaps of predicted and true masks, through the service's own postprocessing."""

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.evaluation.instances import count_instances
from model_export.evaluation.torch_session import SupportsInfer
from model_export.metrics import Overlap
from service.model.metadata import OperatingPoint
from service.model.postprocess import apply_operating_point
from service.model.session import Probabilities


def predict_strips(
    session: SupportsInfer, strips: Sequence[LabelledStrip], title: str = "scoring"
) -> Iterator[tuple[Masks, Probabilities]]:
    """Run strips one at a time; yield the true masks and the probabilities of each."""
    for strip in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        yield truth, session.infer([image])[0]


def measure_overlaps(prediction: Probabilities, truth: Masks, point: OperatingPoint) -> list[Overlap]:
    """Return the overlap of predicted and true masks of one strip, per class."""
    found = apply_operating_point(prediction.classes, prediction.masks, point, range(1, len(truth) + 1))
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
    session: SupportsInfer, strips: Sequence[LabelledStrip], points: Sequence[OperatingPoint]
) -> list[list[list[Overlap]]]:
    """Return the overlaps at every operating point, per strip and class; each strip is run once."""
    found: list[list[list[Overlap]]] = [[] for _ in points]
    for truth, prediction in predict_strips(session, strips):
        for point, collected in zip(points, found, strict=True):
            collected.append(measure_overlaps(prediction, truth, point))
    return found
