"""Answers against truth, through the service's own postprocessing."""

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.evaluation.torch_session import Answers
from model_export.metrics import Overlap
from service.model.metadata import OperatingPoint
from service.model.postprocess import segment
from service.model.session import Probabilities


def answered(
    session: Answers, strips: Sequence[LabelledStrip], title: str = "scoring"
) -> Iterator[tuple[Masks, Probabilities]]:
    """Run strips one at a time and give the truth of each with the answer."""
    for strip in tqdm(strips, title, unit="strip", dynamic_ncols=True):
        image, truth = strip.load()
        yield truth, session.infer([image])[0]


def overlaps_of(answer: Probabilities, truth: Masks, point: OperatingPoint) -> list[Overlap]:
    """Hold the masks of one strip against its truth, class by class."""
    return [
        Overlap(
            predicted=one.area,
            true=int(np.count_nonzero(mask)),
            both=0 if one.mask is None else int(np.count_nonzero(one.mask & mask.T)),
        )
        for one, mask in zip(segment(answer.classes, answer.masks, point), truth, strict=True)
    ]


def overlaps_at(
    session: Answers, strips: Sequence[LabelledStrip], points: Sequence[OperatingPoint]
) -> list[list[list[Overlap]]]:
    """Give the overlaps of every operating point, strip by strip; each strip is run once."""
    found: list[list[list[Overlap]]] = [[] for _ in points]
    for truth, answer in answered(session, strips):
        for point, collected in zip(points, found, strict=True):
            collected.append(overlaps_of(answer, truth, point))
    return found
