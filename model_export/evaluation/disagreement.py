"""How much the models of several folds disagree about a strip that none of them has seen."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.model.session import Probabilities

_LN2 = float(np.log(2))


def disagreement(answers: Sequence[Probabilities]) -> float:
    """Return how far models disagree about a strip: 0 if they answer alike, up to 2 per class.

    For each class it is the mutual information of the class and the choice of the model, in bits, which is
    high where sure models contradict each other and low where all are unsure; and the share of the joint mask
    that the models do not have in common, weighted by the mean probability of the class.
    Source: Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011.

    Args:
        answers: one for each model.
    """
    classes = np.stack([answer.classes for answer in answers]).astype(np.float64)
    mean = classes.mean(axis=0)
    information = (_entropy(mean) - _entropy(classes).mean(axis=0)) / _LN2
    masks = np.stack([answer.masks for answer in answers])
    common = masks.min(axis=0).sum(axis=(1, 2), dtype=np.int64)
    joint = masks.max(axis=0).sum(axis=(1, 2), dtype=np.int64)
    apart = 1 - np.where(joint > 0, common / np.maximum(joint, 1), 1.0)
    return float((information + mean * apart).sum())


def _entropy(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.asarray(-clipped * np.log(clipped) - (1 - clipped) * np.log(1 - clipped))
