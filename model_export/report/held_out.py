"""Results of a report's strips, each predicted by a model that was not trained or tuned on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_export.data.classes import check_same
from model_export.data.kaggle import read_kaggle
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.pixels import unseen_strips
from model_export.data.synthetic import drawn_strips
from model_export.data.tile import Tile
from model_export.errors import DataError, OptionError
from model_export.evaluation.curves import ThresholdCurves, count_pixels
from model_export.evaluation.evaluate import HELD_OUT_SEED, check_drawn
from model_export.evaluation.frames import predict_image
from model_export.evaluation.out_of_fold import FOLDS, open_fold_sessions, predict_out_of_fold
from model_export.evaluation.overlaps import measure_overlaps, predict_strips
from model_export.metrics import Overlap
from service.geometry import BitDepth, Strip
from service.model.metadata import ModelMetadata, Profile
from service.model.postprocess import ClassMask
from service.model.repository import find_model
from service.model.session import OrtSession, Probabilities


@dataclass(frozen=True)
class StripResult:
    """One strip with its true and predicted masks."""

    image: Strip
    truth: Masks
    probabilities: Probabilities
    predicted: list[ClassMask]


@dataclass(frozen=True)
class HeldOutResults:
    """Held-out strips with their results at one profile; rows of the arrays are strips."""

    strips: list[LabelledStrip]
    sessions: list[OrtSession]
    """Per strip, the session of the model that predicted it."""
    profile: str
    description: str
    """Description of the strips, for the page."""
    curves: ThresholdCurves
    overlaps: list[list[Overlap]]
    """Per strip, an entry per class."""
    metadata: ModelMetadata
    """Of the model that serves, not of its folds."""

    def point(self, row: int) -> Profile:
        """Return the operating point of a strip."""
        return find_profile(self.sessions[row], self.profile)

    @property
    def points(self) -> list[Profile]:
        """Every operating point in use, one per model."""
        sessions = {id(session): session for session in self.sessions}
        return [find_profile(session, self.profile) for session in sessions.values()]

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """Classes on each strip, bool ``[strips, classes]``."""
        return self.curves.true > 0

    @property
    def reported(self) -> npt.NDArray[np.bool_]:
        """Classes reported on each strip, bool ``[strips, classes]``."""
        return np.array([[one.predicted > 0 for one in strip] for strip in self.overlaps])

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """Dice where the strip holds the class, nan elsewhere: float64 ``[strips, classes]``."""
        dice = np.array([[one.dice for one in strip] for strip in self.overlaps])
        return np.where(self.truth, dice, np.nan)

    def rerun(self, row: int) -> StripResult:
        """Run a strip again and return its masks."""
        image, truth = self.strips[row].load()
        session = self.sessions[row]
        answer = predict_image(session, image, Tile.of(session.metadata), self.strips[row].name)
        predicted = answer.at(self.point(row), session.metadata.class_ids)
        return StripResult(image, truth, answer.whole(), predicted)


def find_profile(session: OrtSession, name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        DataError: if the model has none.
    """
    profile = session.metadata.profile(name)
    if profile is None:
        known = ", ".join(one.name for one in session.metadata.profiles)
        raise DataError(f"expected a profile of the model ({known}), got {name!r}")
    return profile


def evaluate_held_out(
    model: Path, profile: str, *, data: Path | None, drawn: int, bits: BitDepth | None, skip_bad: bool
) -> HeldOutResults:
    """Predict every strip with a model that used it neither for training nor for tuning.

    If fold models lie beside the model file, each strip is predicted by the model of its fold. Otherwise only
    strips outside the training and validation part are used. Drawn strips are never trained on.

    Raises:
        DataError: if there is no such strip.
    """
    path = find_model(model)
    if data is None:
        if drawn < 1:
            raise OptionError("name strips to report on: --data FOLDER or --drawn COUNT")
        session = OrtSession(path)
        check_drawn(session.metadata)
        return _single_model(session, drawn_strips(drawn, HELD_OUT_SEED), profile, f"{drawn} drawn strips")
    check_same(OrtSession(path).metadata.classes, data, str(model))
    strips: Sequence[LabelledStrip] = read_kaggle(data, bits=bits, skip_bad=skip_bad)
    if (path.parent / FOLDS).is_dir():
        sessions = open_fold_sessions(path)
        found = predict_out_of_fold(sessions, strips)
        return HeldOutResults(
            found.strips,
            [sessions[number - 1] for number in found.fold],
            profile,
            f"{len(found.strips)} strips, each predicted by the model of the fold that held it out",
            found.curves,
            found.overlaps[find_profile(sessions[0], profile).name],
            OrtSession(path).metadata,
        )
    session = OrtSession(path)
    unseen = unseen_strips(strips, session.metadata.split)
    if not unseen:
        raise DataError(f"all strips of {data} trained or tuned the model; a report needs others")
    return _single_model(
        session, unseen, profile, f"{len(unseen)} strips that neither trained nor tuned the model"
    )


def _single_model(
    session: OrtSession, strips: Sequence[LabelledStrip], profile: str, description: str
) -> HeldOutResults:
    point = find_profile(session, profile)
    curves: list[ThresholdCurves] = []
    overlaps: list[list[Overlap]] = []
    predictions = predict_strips(session, strips, Tile.of(session.metadata), "predicting")
    for strip, (truth, prediction) in zip(strips, predictions, strict=True):
        curves.append(count_pixels(strip.name, truth, prediction))
        overlaps.append(measure_overlaps(prediction, truth, point))
    return HeldOutResults(
        list(strips),
        [session] * len(strips),
        profile,
        description,
        ThresholdCurves.join(curves),
        overlaps,
        session.metadata,
    )
