"""Links, anchors and quoted paths in Markdown files lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.support.serving import ROOT

PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md", "models/**/*.md") for page in ROOT.glob(pattern))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

SUPERSEDED = {"docs/adr/0007-modules-of-the-service.md"}
"""These keep their text, and the paths of their day."""

FORMER_MODULES = {"service.capacity"}
"""Named where the new name is announced."""

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_TOP = {path.name for path in ROOT.iterdir() if not path.name.startswith((".venv", "runs"))}
_MODULE = re.compile(r"\bpython -m ([\w.]+)")


def prose(page: Path) -> str:
    """Return the text of a page without its fenced code."""
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        repeated = sum(one == anchor or one.startswith(f"{anchor}-") for one in found)
        found.add(f"{anchor}-{repeated}" if anchor in found else anchor)
    return found


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/adr/README.md"} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_quoted_paths_exist(page: Path) -> None:
    """Of code spans, those that look like a path below a top-level folder of the repository."""
    if str(page.relative_to(ROOT)) in SUPERSEDED:
        return
    for code in _CODE.findall(prose(page)):
        word = code.split("::")[0].rstrip("/")
        if not re.fullmatch(r"[\w.-]+(/[\w.*-]+)+", word) or word.split("/")[0] not in _TOP:
            continue
        assert list(ROOT.glob(word)), code


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_modules_of_commands_exist(page: Path) -> None:
    if str(page.relative_to(ROOT)) in SUPERSEDED:
        return
    for module in _MODULE.findall(page.read_text()):
        path = ROOT.joinpath(*module.split("."))
        if path.parts[len(ROOT.parts)] in _TOP and module not in FORMER_MODULES:
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join([*_FENCE.findall(page.read_text()), *_CODE.findall(prose(page))])
    for target in re.findall(r"(?:^|[`\s])make ([a-z][a-z-]*)\b", code, re.MULTILINE):
        assert target in targets, target


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    for record in (ROOT / "docs/adr").glob("0*.md"):
        number = int(record.name.partition("-")[0])
        assert f"| [{number}]({record.name}) |" in index


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170
