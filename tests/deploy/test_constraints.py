"""Every package that gets installed is pinned."""

import re
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.support.packages import PROJECT, installed_with
from tools.audit import ROOT


def pins(path: Path) -> dict[str, str]:
    """Package and version of each line; a line that is no exact pin fails."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_everything_that_gets_installed_is_pinned() -> None:
    names = installed_with(list(PROJECT["optional-dependencies"]))
    assert {"fastapi", "onnxruntime", "torch", "starlette", "h11"} <= names
    # CUDA's packages come with the torch of a machine that has a GPU, pinned by torch itself.
    unpinned = {name for name in names - pins(ROOT / "constraints.txt").keys() if "nvidia" not in name}
    assert unpinned == set()


def test_what_audits_is_pinned_too() -> None:
    assert {"pip-audit", "cyclonedx-bom"} <= pins(ROOT / "deploy" / "supply-chain.txt").keys()
