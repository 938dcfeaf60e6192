"""The README shows what the service returns and what the models score."""

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
SCORES = (ROOT / "docs" / "scores.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()


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
        assert row in SCORES


def test_the_table_of_scores_is_that_of_the_page() -> None:
    """The README repeats the table of docs/scores.md."""
    table = re.search(r"^\| class \| strips with.*?\n\n", SCORES, re.MULTILINE | re.DOTALL)
    assert table is not None
    assert table[0] in README


@pytest.mark.parametrize("server", ["this service", "FastAPI", "LitServe", "BentoML", "mosec", "MLServer"])
def test_the_table_of_speed_is_that_of_the_run(server: str) -> None:
    """The README rounds the rows of the run in docs/performance.md."""
    run = PERFORMANCE.split("servers at saturation, and at 53.8 strips/s for all")[1].split("```")[0]
    row = re.search(rf"^\| (?:\*\*)?{server}.*", README, re.MULTILINE)
    assert row is not None
    shown = [float(number) for number in re.findall(r"\d+\.?\d*", row[0][2:].partition(" | ")[2])]
    rows = re.findall(
        rf"^{server}  +([\d.]+) +[\d.]+ +([\d.]+) +[\d.]+ +([\d.]+) .* ([\d.]+)$", run, re.MULTILINE
    )
    rates = [float(rate) for rate, *_ in rows]
    latencies = [round(float(number)) for _, middle, late, _ in rows for number in (middle, late)]
    assert shown == [*rates, *latencies, float(rows[0][3])]
