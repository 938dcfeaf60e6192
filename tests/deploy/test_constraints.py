"""Every package that gets installed is pinned."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.audit import ROOT


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
