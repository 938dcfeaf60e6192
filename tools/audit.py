"""``python -m tools.audit``: look up known vulnerabilities of the versions in ``constraints.txt``.

Only a known vulnerability fails. If the database cannot be reached, the program says so and succeeds.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".venv-supply-chain"
OSV = "https://api.osv.dev/v1/query"

_KNOWN = {"package": {"name": "pillow", "ecosystem": "PyPI"}, "version": "9.0.0"}
"""A version with known vulnerabilities, which every database must know."""


def unreachable(url: str) -> str | None:
    """Return why the database cannot be used; None if it can."""
    request = urllib.request.Request(
        url, json.dumps(_KNOWN).encode(), {"Content-Type": "application/json", "User-Agent": "steel-audit"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            known = json.load(response).get("vulns")
    except (OSError, ValueError, AttributeError) as error:
        return str(error)
    return None if known else "it does not know a well-known vulnerability"


def audit(url: str, requirements: Path) -> int:
    """Run pip-audit on the pinned versions; print its findings and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command: list[str | Path] = [
            TOOLS / "bin/pip-audit",
            "--requirement",
            requirements,
            "--no-deps",
            "--disable-pip",
        ]
        command += ["--vulnerability-service", "osv", "--osv-url", url, "--progress-spinner", "off"]
        command += ["--format", "json", "--output", report]
        done = subprocess.run(command, capture_output=True, text=True)
        if not report.is_file() or not report.stat().st_size:
            print(f"audit: pip-audit failed, so nothing is known: {done.stderr.strip()}")
            return 0
        return report_findings(json.loads(report.read_text())["dependencies"])


def report_findings(packages: list[dict[str, Any]]) -> int:
    """Print known vulnerabilities of packages; return 1 if there are any."""
    for package in packages:
        if "skip_reason" in package:
            print(f"audit: {package['name']} was not looked up: {package['skip_reason']}")
    found = [(package, known) for package in packages for known in package.get("vulns", ())]
    for package, known in found:
        fixed = ", ".join(known["fix_versions"]) or "no version yet"
        print(f"audit: {package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    asked = sum("vulns" in package for package in packages)
    print(f"audit: {asked} packages, {len(found)} known vulnerabilities")
    return int(bool(found))


def main(url: str = OSV) -> int:
    """Audit, or print why not; return the exit code."""
    reason = unreachable(url)
    if reason is not None:
        print(f"audit: skipped, the vulnerability database at {url} cannot be used: {reason}")
        return 0
    subprocess.run(["make", "--silent", f"{TOOLS.name}/.installed"], cwd=ROOT, check=True)
    return audit(url, ROOT / "constraints.txt")


if __name__ == "__main__":
    sys.exit(main())
