"""docs/operations.md names all that there is, and what it offers for Prometheus and Grafana exists."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service import errors
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import ROOT, Server, real_server
from tests.support.tiny_model import block_strip

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
STRIP = png(block_strip(c1=(0, 0, 5, 5)))
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    """A service that has seen a bit of everything."""
    key = {"X-API-Key": "sesame"}
    with real_server(tiny_model, api_key="sesame") as server:
        for body in (STRIP, b"%PDF"):
            httpx.post(f"{server.url}/predict", content=body, headers=PNG | key)
        httpx.post(f"{server.url}/model/reload", headers=key)
        yield server


@pytest.fixture(scope="module")
def samples(server: Server) -> dict[str, set[str]]:
    """Each sample that /metrics may show, with the labels that are known so far."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text):
        if family.name.endswith("_created"):
            continue
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        for suffix in suffixes:
            found.setdefault(family.name + suffix, set())
        for sample in family.samples:
            if sample.name in found:
                found[sample.name] |= sample.labels.keys()
    assert "steel_ready" in found
    return found


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> list[str]:
    document = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    queries = [variable["query"] for variable in document["templating"]["list"]]
    return queries + [target["expr"] for panel in document["panels"] for target in panel["targets"]]


def expressions() -> list[str]:
    return [rule["expr"] for rule in alerts()] + dashboard()


def test_every_setting_is_explained() -> None:
    missing = {name for name in Settings.model_fields if f"`STEEL_{name.upper()}`" not in OPERATIONS}
    assert missing == set()


def test_no_setting_is_explained_that_does_not_exist() -> None:
    named = set(re.findall(r"`STEEL_([A-Z_]+)(?:=\w+)?`", OPERATIONS))
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_metric_is_explained(samples: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}
    assert {name for name in families if f"`{name}`" not in OPERATIONS} == set()


def test_every_metric_that_is_asked_for_exists(samples: dict[str, set[str]]) -> None:
    asked = {name for text in [*expressions(), OPERATIONS] for name in re.findall(r"\bsteel_\w+", text)}
    histograms = {name.removesuffix("_bucket") for name in samples if name.endswith("_bucket")}
    assert len(asked) >= 10
    assert asked - samples.keys() - histograms == set()


def test_the_labels_that_are_asked_for_exist(samples: dict[str, set[str]]) -> None:
    asked = 0
    for text in expressions():
        for name, selector in re.findall(r"\b(steel_\w+)\{([^}]*)\}", text):
            labels = set(re.findall(r"(\w+)\s*=", selector)) - {"instance"}
            assert labels <= samples[name], text
            asked += len(labels)
    assert asked > 10


def test_the_reasons_that_are_asked_for_are_titles_of_problems() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    titles = {kind.title for kind in kinds if issubclass(kind, errors.ServiceError)}
    asked = {
        reason
        for text in expressions()
        for reasons in re.findall(r'reason=~?"([^"]+)"', text)
        for reason in reasons.split("|")
    }
    assert asked
    assert asked <= titles


def test_every_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) > 5
    assert re.findall(r"^### (Steel\w+)$", OPERATIONS, re.MULTILINE) == names
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_alert_rings_when_it_should_and_not_on_a_quiet_day() -> None:
    cases = ROOT / "deploy/prometheus/alerts.test.yml"
    assert set(re.findall(r'alertname="(\w+)"', cases.read_text())) == {rule["alert"] for rule in alerts()}
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian: apt-get install prometheus)")
    done = subprocess.run([promtool, "test", "rules", cases], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_field_of_the_log_is_explained(tiny_model: Path, tmp_path: Path) -> None:
    with real_server(tiny_model, api_keys_file=_keys(tmp_path), log_level="debug") as server:
        httpx.post(f"{server.url}/model/reload", headers={"X-API-Key": "sesame"})
        for headers in (PNG, PNG | {"X-API-Key": "sesame"}):
            for body in (STRIP, b"%PDF"):
                httpx.post(f"{server.url}/predict", content=body, headers=headers)
        _, lines = server.stop()
    fields = {field for line in lines for field in line}
    assert {"request_id", "timing_ms", "error", "keys", "outcome"} <= fields
    log = OPERATIONS.split("## Log")[1].split("\n## ")[0]
    assert {field for field in fields if f"`{field}`" not in log} == set()


def _keys(folder: Path) -> Path:
    (folder / "keys").write_text("sesame\n")
    return folder / "keys"


def test_the_proxies_take_what_the_service_takes() -> None:
    settings = Settings()
    nginx = re.search(r"client_max_body_size (\d+)m", OPERATIONS)
    caddy = re.search(r"max_size (\d+)MiB", OPERATIONS)
    timeouts = re.findall(r"(?:proxy_read_timeout|response_header_timeout) (\d+)s", OPERATIONS)
    assert nginx
    assert caddy
    assert int(nginx[1]) * 1024**2 == int(caddy[1]) * 1024**2 == settings.max_body_bytes
    assert len(timeouts) == 2
    assert all(int(seconds) > settings.request_timeout_s for seconds in timeouts)


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/operations.md", "docs/threat-model.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link
