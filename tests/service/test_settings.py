"""Settings of the service."""

import pytest
from pydantic import ValidationError

from service.settings import Settings


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
