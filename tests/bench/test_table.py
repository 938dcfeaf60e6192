"""The table of targets."""

from bench.check import Check
from bench.table import check_table


def test_the_table_marks_missed_targets() -> None:
    lines = check_table(
        [
            Check("fast", "<=", 4, 3.9, "ms"),
            Check("slow", "<=", 4, 4.1, "ms"),
            Check("unknown", ">=", 15, None, "x", "not there"),
            Check("none wrong", "==", 0, 0),
        ]
    ).splitlines()[2:]
    assert ["MISSED" in line for line in lines] == [False, True, False, False]
    assert [" met" in line for line in lines] == [True, False, False, True]
    assert "not measured" in lines[2]
    assert "not there" in lines[2]
