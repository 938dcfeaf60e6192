"""The strips of a report, each with the answer of a model that had not seen it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.data.kaggle import read_kaggle
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError
from model_export.evaluation.curves import ThresholdCurves, measure_curves
from model_export.evaluation.evaluate import HELD_OUT_SEED
from model_export.evaluation.out_of_fold import FOLDS, open_fold_sessions, predict_out_of_fold
from model_export.metrics import Overlap
from service.geometry import Strip
from service.model.metadata import Profile
from service.model.postprocess import ClassMask, apply_operating_point
from service.model.repository import find_model
from service.model.session import OrtSession, Probabilities


@dataclass(frozen=True)
class Looked:
    """One strip, run again to be looked at."""

    image: Strip
    truth: Masks
    answer: Probabilities
    found: list[ClassMask]


@dataclass(frozen=True)
class Judged:
    """Strips that a model was judged on, at one profile; rows of the arrays are strips."""

    strips: list[LabelledStrip]
    sessions: list[OrtSession]
    """Of each strip: the model file that had not seen it."""
    profile: str
    description: str
    """Which strips these are."""
    curves: ThresholdCurves
    overlaps: list[list[Overlap]]
    """Per strip, an entry per class."""

    def point(self, row: int) -> Profile:
        """Give the thresholds that a strip was judged at."""
        return profile_of(self.sessions[row], self.profile)

    @property
    def points(self) -> list[Profile]:
        """Give every set of thresholds that was used, once: one per fold."""
        sessions = {id(session): session for session in self.sessions}
        return [profile_of(session, self.profile) for session in sessions.values()]

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """Bool ``[strips, 4]``: which strip holds which class."""
        return self.curves.true > 0

    @property
    def reported(self) -> npt.NDArray[np.bool_]:
        """Bool ``[strips, 4]``: which class was reported on which strip."""
        return np.array([[one.predicted > 0 for one in strip] for strip in self.overlaps])

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """float64 ``[strips, 4]``: Dice where the strip holds the class, nan elsewhere."""
        dice = np.array([[one.dice for one in strip] for strip in self.overlaps])
        return np.where(self.truth, dice, np.nan)

    def look(self, row: int) -> Looked:
        """Run a strip again."""
        image, truth = self.strips[row].load()
        answer = self.sessions[row].infer([image])[0]
        return Looked(
            image, truth, answer, apply_operating_point(answer.classes, answer.masks, self.point(row))
        )


def profile_of(session: OrtSession, name: str) -> Profile:
    """Look up an operating point.

    Raises:
        DataError: if the model has none of this name.
    """
    profile = session.metadata.profile(name)
    if profile is None:
        known = ", ".join(one.name for one in session.metadata.profiles)
        raise DataError(f"the model has no profile {name!r}; it has {known}")
    return profile


def judge(model: Path, profile: str, *, data: Path | None, drawn: int, skip_bad: bool) -> Judged:
    """Answer every strip by a model that saw it neither in training nor in tuning.

    These are the models of the folds where the model file has them beside it; else strips that are not
    of its training or validation. Drawn strips were never trained on.

    Raises:
        DataError: if there is no such strip.
    """
    path = find_model(model)
    if data is None:
        if drawn < 1:
            raise DataError("name strips to report on: --data FOLDER or --drawn COUNT")
        session = OrtSession(path)
        return _by_one(session, drawn_strips(drawn, HELD_OUT_SEED), profile, f"{drawn} drawn strips")
    strips: Sequence[LabelledStrip] = read_kaggle(data, skip_bad=skip_bad)
    if (path.parent / FOLDS).is_dir():
        sessions = open_fold_sessions(path)
        found = predict_out_of_fold(sessions, strips)
        return Judged(
            found.strips,
            [sessions[number - 1] for number in found.fold],
            profile,
            f"{len(found.strips)} strips, each answered by the model of the fold that held it out",
            found.curves,
            found.overlaps[profile_of(sessions[0], profile).name],
        )
    session = OrtSession(path)
    seen = {*session.metadata.split.train, *session.metadata.split.validation}
    unseen = [strip for strip in strips if strip.name not in seen]
    if not unseen:
        raise DataError(f"all strips of {data} trained or tuned the model; a report takes others")
    return _by_one(session, unseen, profile, f"{len(unseen)} strips that neither trained nor tuned the model")


def _by_one(session: OrtSession, strips: Sequence[LabelledStrip], profile: str, description: str) -> Judged:
    point = profile_of(session, profile)
    curves = measure_curves(session, strips, "answering")
    return Judged(list(strips), [session] * len(strips), profile, description, curves, curves.overlaps(point))
