"""Profiles that a person saved on the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import ModelFileError
from service.model.saved_profile import is_saved_profile, profile_name, read_saved_profile
from tests.support.tiny_model import tiny_metadata

METADATA = tiny_metadata()


def write(path: Path, **changes: Any) -> Path:
    content = {
        "name": "line",
        "based_on": "inspection",
        "class_threshold": [0.6] * 4,
        "threshold": [0.25] * 4,
        "min_area": [10] * 4,
        "classes": [kind.model_dump() for kind in METADATA.classes],
        "model": {"name": "tiny"},
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_a_saved_profile_becomes_one_of_the_model(tmp_path: Path) -> None:
    metadata = read_saved_profile(write(tmp_path / "line.profile.json")).added_to(METADATA, "line")
    assert [profile.name for profile in metadata.profiles] == ["inspection", "kaggle", "line"]
    added = metadata.profile("line")
    assert added is not None
    assert added.threshold == (0.25,) * 4
    assert added.min_area == (10,) * 4
    assert added.scores == ()


def test_a_profile_is_named_by_its_file() -> None:
    assert profile_name("/etc/steel/line.profile.json") == "line"
    assert profile_name("line.json") == "line"
    assert profile_name("inspection") == "inspection"
    assert not is_saved_profile("inspection")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": [0.5] * 3}, "expected 4 values each"),
        ({"threshold": [1.5] * 4}, "less than or equal to 1"),
        ({"based_on": None}, "based_on"),
        ({"classes": [{"id": 1, "name": "rust"}] * 4}, "got 1 rust"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "line.profile.json", **changes)
    with pytest.raises(ModelFileError, match=message):
        read_saved_profile(path).added_to(METADATA, "line")


def test_what_is_no_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("no JSON")
    with pytest.raises(ModelFileError, match=r"x\.json"):
        read_saved_profile(tmp_path / "x.json")
    with pytest.raises(ModelFileError, match="No such file"):
        read_saved_profile(tmp_path / "none.json")


def test_a_name_of_the_model_and_a_threshold_below_its_gate_are_refused(tmp_path: Path) -> None:
    saved = read_saved_profile(write(tmp_path / "line.profile.json"))
    with pytest.raises(ModelFileError, match="another name"):
        saved.added_to(METADATA, "kaggle")
    gated = METADATA.model_copy(update={"gate": (0.7,) * 4})
    with pytest.raises(ModelFileError, match="at least"):
        saved.added_to(gated, "line")
