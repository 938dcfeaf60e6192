"""The Dockerfile and its compose file."""

import re

import yaml

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
