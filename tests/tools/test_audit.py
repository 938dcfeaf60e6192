"""What is installed is pinned, and audited for known vulnerabilities."""

import http.server
import json
import re
import threading
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.audit import ROOT, TOOLS, audit, judge, main


def pins(path: Path) -> dict[str, str]:
    """Package and version of each line; a line that is no exact pin fails."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def installed_with(requirements: list[str]) -> set[str]:
    """Names of all that these requirements bring, as far as it is installed here."""
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(text), "") for text in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            try:
                todo += [(Requirement(text), wanted) for text in requires(name) or ()]
            except PackageNotFoundError:
                seen.discard((name, wanted))
    return {name for name, _ in seen}


def test_everything_that_gets_installed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [text for extra in extras.values() for text in extra]
    names = installed_with(wanted)
    assert {"fastapi", "onnxruntime", "torch", "starlette", "h11"} <= names
    # CUDA's packages come with the torch of a machine that has a GPU, pinned by torch itself.
    unpinned = {name for name in names - pins(ROOT / "constraints.txt").keys() if "nvidia" not in name}
    assert unpinned == set()


def test_what_audits_is_pinned_too() -> None:
    assert {"pip-audit", "cyclonedx-bom"} <= pins(ROOT / "deploy" / "supply-chain.txt").keys()


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


def test_only_known_vulnerabilities_fail(capsys: pytest.CaptureFixture[str]) -> None:
    fine = {"name": "a", "version": "1", "vulns": []}
    private = {"name": "b", "skip_reason": "not on PyPI"}
    hole = {"id": "CVE-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}
    assert judge([fine, private]) == 0
    assert judge([fine, {"name": "c", "version": "2", "vulns": [hole]}]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "audit: b was not looked up: not on PyPI",
        "audit: 1 packages, 0 known vulnerabilities",
        "audit: c 2: CVE-1, fixed in 2.1",
        "audit: 2 packages, 1 known vulnerabilities",
    ]


class Database(http.server.BaseHTTPRequestHandler):
    """Speaks as OSV does, and knows of holes in old Pillows."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        old = query["package"]["name"] == "pillow" and query["version"] == "9.0.0"
        hole = {
            "id": "OSV-1",
            "modified": "2026-01-01T00:00:00Z",
            "published": "2026-01-01T00:00:00Z",
            "summary": "a hole",
            "affected": [
                {
                    "package": {"name": "pillow", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.0.1"}]}],
                }
            ],
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"vulns": [hole]} if old else {}).encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def test_without_a_database_the_audit_is_skipped_and_says_so(
    database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:9/v1/query"
    assert main(nobody) == 0
    skipped = f"audit: skipped, the database of vulnerabilities at {nobody} cannot be asked"
    assert capsys.readouterr().out.startswith(skipped)
    monkeypatch.setattr(Database, "do_POST", lambda self: self.send_error(404))
    assert main(database) == 0
    assert "cannot be asked: HTTP Error 404" in capsys.readouterr().out


def test_the_tool_finds_a_hole(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (TOOLS / ".installed").is_file():
        pytest.skip(f"no {TOOLS.name} here: `make sbom` makes it")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("pillow==9.0.0\nidna==3.20\n")
    assert audit(database, requirements) == 1
    assert "audit: pillow 9.0.0: OSV-1, fixed in 9.0.1" in capsys.readouterr().out
    assert audit(database, ROOT / "constraints.txt") == 0
    assert "packages, 0 known vulnerabilities" in capsys.readouterr().out
    assert audit("http://127.0.0.1:9/", requirements) == 0
    assert "audit: not finished, so nothing is known" in capsys.readouterr().out
