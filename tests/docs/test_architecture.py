"""docs/architecture.md names the packages and modules that exist."""

import re
from pathlib import Path

import grimp
import pytest

from tests.support.serving import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = re.findall(r"^\| `(service/[\w/]+)` \| (.*) \|$", PAGE, re.MULTILINE)
WALK = PAGE.split("## The walk")[1].split("\n## ")[0]
AT_THE_TOP = {"app", "server", "settings", "errors", "problem", "geometry", "files"}
"""Modules of the service that the picture shows, besides packages."""


LEAVES = {"geometry", "errors", "files"}
ANYWHERE = {"observability", "settings"}
BESIDE = {"", "build_engines", "healthcheck", "terminal"}
"""The package itself, which holds the version, and modules that the text names."""


def modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize(("package", "content"), PACKAGES, ids=[package for package, _ in PACKAGES])
def test_the_modules_of_a_package_are_named(package: str, content: str) -> None:
    assert modules(ROOT / package) == set(re.findall(r"`(\w+)`", content))


def test_every_package_has_a_row() -> None:
    folders = {path.parent for path in (ROOT / "service").rglob("*.py")} - {ROOT / "service"}
    assert {package for package, _ in PACKAGES} == {str(folder.relative_to(ROOT)) for folder in folders}


def test_the_picture_has_every_package_and_module_at_the_top() -> None:
    picture = PAGE.split("```mermaid")[1].split("```")[0]
    service = ROOT / "service"
    names = AT_THE_TOP | {path.parent.name for path in service.glob("*/__init__.py")}
    assert {name for name in names if not re.search(rf"\b{name}\b", picture)} == set()
    assert modules(service) >= AT_THE_TOP


def test_files_of_the_walk_exist() -> None:
    files = re.findall(r"`(\w+/\w+)`", WALK)
    assert len(files) > 15
    for file in files:
        assert (ROOT / "service" / file).with_suffix(".py").is_file(), file


def test_every_package_of_the_repository_has_a_row() -> None:
    for package in ROOT.glob("*/__init__.py"):
        if package.parent.name != "service":
            assert re.search(rf"^\| `{package.parent.name}` \|", PAGE, re.MULTILINE), package.parent.name


def test_arrows_of_the_picture_are_the_imports() -> None:
    """Each arrow is an import, and each import an arrow or a path of them."""
    picture = PAGE.split("```mermaid")[1].split("```")[0]
    arrows = set(re.findall(r"^ +(\w+)(?:\[.*?\])? --> (\w+)", picture, re.MULTILINE))
    assert len(arrows) == 15
    graph = grimp.build_graph("service", exclude_type_checking_imports=True)
    imports: set[tuple[str, str]] = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            start, end = _drawn(module), _drawn(imported)
            if start != end and not {start, end} & (ANYWHERE | BESIDE):
                imports.add((start, end))
    assert arrows <= imports
    reached = set(arrows)
    while longer := {(a, d) for a, b in reached for c, d in arrows if b == c} - reached:
        reached |= longer
    assert imports <= reached


def _drawn(module: str) -> str:
    """Return the name of a module's package in the picture."""
    name = module.split(".")[1] if "." in module else ""
    if name in LEAVES:
        return "leaves"
    return name.strip("_")
