"""The audit for known vulnerabilities."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.audit import ROOT, TOOLS, audit, main, report_findings


def test_only_known_vulnerabilities_fail(capsys: pytest.CaptureFixture[str]) -> None:
    fine = {"name": "a", "version": "1", "vulns": []}
    private = {"name": "b", "skip_reason": "not on PyPI"}
    hole = {"id": "CVE-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}
    assert report_findings([fine, private]) == 0
    assert report_findings([fine, {"name": "c", "version": "2", "vulns": [hole]}]) == 1
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
    skipped = f"audit: skipped, the vulnerability database at {nobody} cannot be used"
    assert capsys.readouterr().out.startswith(skipped)
    monkeypatch.setattr(Database, "do_POST", lambda self: self.send_error(404))
    assert main(database) == 0
    assert "cannot be used: HTTP Error 404" in capsys.readouterr().out


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
    assert "audit: pip-audit failed, so nothing is known" in capsys.readouterr().out
