"""Settings of the service."""

import pytest
from pydantic import ValidationError

from service.settings import Settings, explain, explain_unknown


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


def test_a_request_that_could_never_be_taken_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match=r"expected max_files <= max_queue_size \(8\), got 32"):
        Settings(max_queue_size=8)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("threads", "5000", "less than or equal to 256"),
        ("max_queue_size", "1000000", "less than or equal to 10000"),
        ("request_timeout_s", "1e9", "less than or equal to 3600"),
        ("max_body_bytes", str(2**40), "less than or equal to 1073741824"),
        ("host", "", "at least 1 character"),
        ("bits", "9", "'8', '10', '12', '14' or '16'"),
    ],
)
def test_absurd_values_are_refused_with_the_range(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, limit: str
) -> None:
    monkeypatch.setenv(f"STEEL_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert limit in explain(caught.value)
    assert f"STEEL_{name.upper()}" in explain(caught.value)


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    names = ["STEEL_API_KEYS_FIEL", "STEEL_PORT", "STEEL_QWERTY", "PATH"]
    assert explain_unknown(names).splitlines() == [
        "error: STEEL_API_KEYS_FIEL: there is no such setting; did you mean STEEL_API_KEYS_FILE?",
        "error: STEEL_QWERTY: there is no such setting",
    ]


def test_variables_that_a_cluster_adds_are_no_settings() -> None:
    names = [
        "STEEL_SERVICE_HOST",
        "STEEL_SERVICE_PORT",
        "STEEL_SERVICE_PORT_HTTP",
        "STEEL_PORT_8000_TCP_ADDR",
    ]
    assert explain_unknown([*names, "STEEL_GPU_SERVICE_HOST", "STEEL_PORT_8000_TCP"]) == ""
