"""The table of kinds of fault names tests that exist."""

import re

import pytest

from tests.support.serving import ROOT

TABLE = (ROOT / "docs" / "faults.md").read_text().split("## Kinds of fault")[1]
ROWS = [line.split(" | ") for line in TABLE.splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("| ") for row in ROWS])
def test_every_kind_is_held_by_tests(row: list[str]) -> None:
    assert len(row) == 3
    named = re.findall(r"`(tests/[\w/]+\.py)`", row[2])
    assert named
    for path in named:
        assert "def test_" in (ROOT / path).read_text()
