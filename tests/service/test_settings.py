"""Settings, CPU quota, model repository, overlay, metadata, query parameters."""

import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import structlog
from PIL import Image
from pydantic import ValidationError

from service.api.schemas import parse_areas, parse_thresholds
from service.errors import ModelFileError
from service.masks.overlay import COLOURS, draw_overlay
from service.model.cpu_quota import cpu_quota
from service.model.metadata import OperatingPoint
from service.model.repository import find_model
from service.observability.logs import configure_logs
from service.settings import Settings
from tests.support.tiny_model import tiny_metadata


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_PORT", "8080")
    monkeypatch.setenv("STEEL_API_KEY", "secret")
    settings = Settings()
    assert settings.port == 8080
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(("name", "value"), [("DEVICE", "gpu"), ("PORT", "99999"), ("MAX_QUEUE_SIZE", "0")])
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STEEL_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_threads_follow_the_quota(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    unlimited = cpu_quota(tmp_path / "none")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == (expected or unlimited)


@pytest.mark.parametrize(
    ("told", "expected"), [("1", 1), ("0", None), ("x", None), ("", None), ("9999", None)]
)
def test_a_scheduler_may_grant_fewer_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, expected: int | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    unlimited = cpu_quota(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert cpu_quota(tmp_path) == (expected or unlimited)


def make_models(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "model.onnx").touch()


def test_a_repository_means_the_highest_version_of_its_one_model(tmp_path: Path) -> None:
    make_models(tmp_path, "steel/2", "steel/10", "steel/draft")
    expected = tmp_path / "steel" / "10" / "model.onnx"
    for path in (tmp_path, tmp_path / "steel", tmp_path / "steel" / "10", expected):
        assert find_model(path) == expected


def test_several_models_have_to_be_chosen_from(tmp_path: Path) -> None:
    make_models(tmp_path, "a/1", "b/1")
    with pytest.raises(ModelFileError, match=r"several models \(a, b\)"):
        find_model(tmp_path)


def test_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds no"):
        find_model(tmp_path)
    with pytest.raises(ModelFileError, match="there is no model at"):
        find_model(tmp_path / "missing")


def test_an_overlay_tints_and_outlines_each_mask() -> None:
    strip = np.full((256, 1600), 100, dtype=np.uint8)
    mask = np.zeros((1600, 256), dtype=np.bool_)
    mask[200:260, 100:150] = True
    picture = np.asarray(Image.open(io.BytesIO(draw_overlay(strip, {3: mask}, {3: "3 scratch 97%"}))))
    assert picture.shape == (284, 1600, 3)
    assert picture[10, 10].tolist() == [100, 100, 100]
    assert picture[100, 200].tolist() == list(COLOURS[3])
    assert picture[125, 230].tolist() == [int(0.7 * 100 + 0.3 * c) for c in COLOURS[3]]
    assert picture[263 + 7, 15].tolist() == list(COLOURS[3])


@pytest.mark.parametrize(
    ("threshold", "level"), [(0, 0), (1, 255), (0.5, 128), (1 / 255, 1), (0.2, 51), (0.6, 153)]
)
def test_byte_threshold(threshold: float, level: int) -> None:
    point = OperatingPoint(class_threshold=(0,) * 4, threshold=(threshold,) * 4, min_area=(0,) * 4)
    assert point.byte_threshold(2) == level


def test_metadata_comes_back_from_json() -> None:
    metadata = tiny_metadata()
    assert type(metadata).model_validate_json(metadata.model_dump_json()) == metadata
    assert metadata.golden.strip().shape == (256, 1600)
    assert metadata.profile("none") is None


def test_one_value_or_four() -> None:
    assert parse_thresholds("0.5") == (0.5, 0.5, 0.5, 0.5)
    assert parse_thresholds("0, 1,.25,1e-1") == (0, 1, 0.25, 0.1)
    assert parse_areas("300") == (300, 300, 300, 300)
    assert parse_areas("1, 2,3,4") == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "text", ["", "x", "1.1", "-0.1", "nan", "inf", "0.5,0.5", "0.5,0.5,0.5,0.5,0.5", "0.5,"]
)
def test_wrong_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match="one value, or 4 separated by commas"):
        parse_thresholds(text)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "1,2", "99999999", "²"])
def test_wrong_areas(text: str) -> None:
    with pytest.raises(ValueError, match="one value, or 4 separated by commas"):
        parse_areas(text)


@pytest.mark.usefixtures("logs")
def test_a_log_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("request", filename='a.jpg"}\n{"event": "forged"}')
    logging.getLogger("uvicorn").info("two\nlines")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["request", "two\nlines"]


def test_a_request_that_could_never_be_taken_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match=r"max_files \(32\) must not exceed max_queue_size \(8\)"):
        Settings(max_queue_size=8)
