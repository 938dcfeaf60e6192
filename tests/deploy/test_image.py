"""The Dockerfile and its compose file."""

import re
from typing import Any

import yaml

from service.settings import Settings
from tools.audit import ROOT


def test_the_image_is_built_without_secrets_or_privileges() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    given = re.findall(r"^(?:ARG|ENV) (.*)", dockerfile, re.MULTILINE)
    assert given
    assert not re.search(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", " ".join(given), re.IGNORECASE)
    assert re.findall(r"^USER (.*)", dockerfile, re.MULTILINE) == ["65534:65534"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"  # nothing gets in that is not named
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["steel"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert service["environment"]["STEEL_API_KEY"] is None  # taken from the environment, not written down


def compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


def test_compose_passes_every_setting() -> None:
    """But for where the container listens. One that is not passed would be ignored without a word."""
    environment = compose("docker-compose.yml")["services"]["steel"]["environment"]
    names = {f"STEEL_{name.upper()}" for name in Settings.model_fields}
    assert set(environment) == names - {"STEEL_HOST", "STEEL_PORT"}
    assert {name for name, value in environment.items() if value is not None} == {"STEEL_DEVICE"}


def test_files_are_brought_in_as_secrets() -> None:
    for name in ("docker-compose.keys.yml", "docker-compose.tls.yml"):
        added = compose(name)
        service = added["services"]["steel"]
        assert sorted(service["secrets"]) == sorted(added["secrets"])
        for setting, path in service["environment"].items():
            source = added["secrets"][path.removeprefix("/run/secrets/")]["file"]
            assert source.startswith(f"${{{setting}:?")
