"""The model that ships."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_export.data.kaggle import read_image, read_kaggle
from model_export.evaluation.out_of_fold import open_fold_sessions, predict_out_of_fold
from model_export.metrics import class_scores
from service.app import create_app
from service.masks import rle
from service.model.loading import prove
from service.model.postprocess import apply_operating_point
from service.model.repository import find_model
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.serving import ROOT, running_app

pytestmark = pytest.mark.anyio

EXAMPLE = ROOT / "examples" / "strip.png"


@pytest.fixture(scope="module")
def session(default_model: Path) -> OrtSession:
    return OrtSession(find_model(default_model))


@pytest.fixture
async def client(session: OrtSession) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(create_app(Settings(), session=session)) as client:
        yield client


def test_it_is_what_its_golden_strip_says(session: OrtSession) -> None:
    prove(session)


def test_its_card_comes_from_its_metadata(session: OrtSession, default_model: Path) -> None:
    from model_export.onnx_export.card import model_card

    assert find_model(default_model).with_name("README.md").read_text() == model_card(session.metadata)


async def test_it_finds_the_defects_of_the_example(client: httpx.AsyncClient) -> None:
    """The example is drawn; which classes it holds and where is written beside it."""
    response = await client.post("/predict", files={"file": ("strip.png", EXAMPLE.read_bytes(), "image/png")})
    (image,) = response.json()["images"]
    truth = dict(
        line.split(",") for line in (ROOT / "examples" / "strip.csv").read_text().split("\n")[1:] if line
    )
    for found in image["classes"]:
        expected = truth.get(str(found["class_id"]), "")
        assert found["present"] is bool(expected), found["name"]
        if expected:
            ours = rle.decode(found["rle"], height=256, width=1600)
            theirs = rle.decode(expected, height=256, width=1600)
            dice = 2 * np.count_nonzero(ours & theirs) / (np.count_nonzero(ours) + np.count_nonzero(theirs))
            assert dice > 0.6


async def test_the_service_gives_the_masks_that_evaluate_uses(
    session: OrtSession, client: httpx.AsyncClient, severstal: Path
) -> None:
    point = session.metadata.profiles[0]
    masks = 0
    for strip in read_kaggle(severstal)[:30]:
        answer = session.infer([read_image(strip.path)])[0]
        expected = apply_operating_point(answer.classes, answer.masks, point, session.metadata.class_ids)
        response = await client.post(
            "/predict", content=strip.path.read_bytes(), headers={"Content-Type": "image/jpeg"}
        )
        for found, one in zip(response.json()["images"][0]["classes"], expected, strict=True):
            if one.mask is None:
                assert found["rle"] == ""
            else:
                masks += 1
                np.testing.assert_array_equal(rle.decode(found["rle"], height=256, width=1600), one.mask)
    assert masks > 10


def test_its_scores_are_those_of_its_folds(session: OrtSession, default_model: Path, severstal: Path) -> None:
    """Measured anew, each strip by the file of the fold that held it out, through the path that serves."""
    found = predict_out_of_fold(open_fold_sessions(find_model(default_model)), read_kaggle(severstal))
    split = session.metadata.split
    names = [*split.train, *split.validation]  # the latter tuned its thresholds
    assert sorted(strip.name for strip in found.strips) == sorted(names)
    for profile in session.metadata.profiles:
        measured = class_scores(found.overlaps[profile.name], found.class_ids)
        for now, stated in zip(measured, profile.scores, strict=True):
            assert now.strips_with == stated.strips_with
            assert now.dice_positive == pytest.approx(stated.dice_positive, abs=0.01)
            assert now.recall == pytest.approx(stated.recall, abs=0.05)
            assert now.false_alarm_rate == pytest.approx(stated.false_alarm_rate, abs=0.05)
