"""What the README shows is what happens."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.model.repository import find_model
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.serving import ROOT, running_app

pytestmark = pytest.mark.anyio

README = (ROOT / "README.md").read_text()


@pytest.fixture
async def client(default_model: Path) -> AsyncIterator[httpx.AsyncClient]:
    session = OrtSession(find_model(default_model))
    async with running_app(create_app(Settings(), session=session)) as client:
        yield client


def shorten(answer: dict[str, Any]) -> None:
    """Leave out what differs from run to run and machine to machine; cut long codes as the README does."""
    answer["timing_ms"] = list(answer["timing_ms"])
    for name in ("provider", "fallback_reason"):
        answer["model"].pop(name, None)
    for image in answer["images"]:
        for found in image["classes"]:
            words = found["rle"].replace(" …", "").split()
            found["rle"] = words[:6]
            # Processors round differently in the last place: a pixel more or less is the same answer.
            found["area"] = round(found["area"], -2)
            found["probability"] = round(found["probability"], 2)
        image["defect_probability"] = round(image["defect_probability"], 2)


async def test_the_request_gives_the_answer(client: httpx.AsyncClient) -> None:
    block = re.search(r"```json\n(\{\n  \"model\".*?)```", README, re.DOTALL)
    assert block is not None
    shown = json.loads(block[1])
    strip = (ROOT / "examples" / "strip.png").read_bytes()
    real = (await client.post("/predict", files={"file": ("strip.png", strip, "image/png")})).json()
    shorten(shown)
    shorten(real)
    assert real == shown


def test_the_scores_are_those_of_the_model(default_model: Path) -> None:
    metadata = OrtSession(find_model(default_model)).metadata
    for kind, score in zip(metadata.classes, metadata.profiles[0].scores, strict=True):
        row = (
            f"| {kind.id} {kind.name} | {score.strips_with} / {score.strips_without} "
            f"| {score.dice_kaggle:.3f} | {score.dice_kaggle_all_empty:.3f} "
            f"| {score.dice_positive:.3f} | {score.recall:.3f} | {score.false_alarm_rate:.3f} |"
        )
        assert row in README


def test_every_setting_is_listed_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        default = "-" if field.default is None else f"`{field.default}`"
        assert f"| `STEEL_{name.upper()}` | {default} | {field.description} |" in README


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
