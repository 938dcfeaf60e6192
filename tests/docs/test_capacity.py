"""docs/capacity.md shows what the calculator prints and what was measured."""

import re
import shlex

import pytest

from steel_capacity.__main__ import main
from steel_capacity.plan import MEASURED, Line, Plan, Replica, replica_of
from tools.audit import ROOT

PAGE = (ROOT / "docs" / "capacity.md").read_text()
RUNS = (ROOT / "docs" / "performance.md").read_text()
SHOWN = re.findall(r"```console\n\$ python -m steel_capacity (.*)\n((?:.*\n)*?)```", PAGE)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_page_shows_what_is_printed(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(shlex.split(command))
    except SystemExit as end:
        code = int(end.code or 0)
    printed = capsys.readouterr()
    shown = printed.out if code == 0 else printed.err.splitlines(keepends=True)[-1]
    assert shown == output
    assert code == (2 if "error:" in output else 0)


def test_the_page_shows_six_runs() -> None:
    assert len(SHOWN) == PAGE.count("$ python -m steel_capacity") == 6


def test_measured_speeds_are_those_of_the_runs() -> None:
    xeon, epyc = MEASURED["xeon"], MEASURED["epyc"]
    assert f"saturation {xeon.strips_per_second} strips/s is" in RUNS
    assert f"saturation {epyc.strips_per_second} strips/s is" in RUNS
    assert f"{xeon.defective_ms} with a defect (22.5 x), {xeon.clean_ms} without (40.0 x)" in RUNS
    assert re.search(rf"\n1 +904\.9 +{epyc.defective_ms} +{epyc.clean_ms} ", RUNS)
    for measured in (xeon, epyc):
        what, _, date = measured.what.rpartition(", ")
        assert date in RUNS
        assert f"| {what} | {measured.strips_per_second} |" in PAGE
    adr = (ROOT / "docs/adr/0011-two-models.md").read_text()
    assert "71 instead of 36 strips a second on two processors" in adr


def test_the_table_turns_strips_into_speed() -> None:
    rows = re.findall(
        r"^\| .* \| ([\d.]+) \| ([\d.]+) \| .* \|$", PAGE.split("## The calculator")[0], re.MULTILINE
    )
    assert len(rows) == 4
    for strips, speed in rows:
        line = Line(1.0, 1600, 1, 0.5, 0.5, 1600, 256)
        plan = Plan(line, Replica(float(strips), 2), utilisation=0.65, spare=0)
        assert plan.needed == 1
        assert f"{plan.fastest:.1f}" == speed


def test_the_table_of_waits() -> None:
    rows = re.findall(r"^\| (0\.\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == ["0.50", "0.65", "0.80", "0.90"]
    replica = Replica(2000, 2)
    assert replica.strip_ms == 1
    for load, waiting, mean, late in rows:
        assert f"{replica.waiting_probability(float(load)):.2f}" == waiting
        assert f"{replica.mean_wait_ms(float(load)):.2f}" == mean
        assert f"{replica.late_wait_ms(float(load)):.1f}" == late


@pytest.mark.parametrize(("name", "rate", "said"), [("xeon", 53.8, "86.2 ms"), ("epyc", 13.4, "297.7 ms")])
def test_the_formulas_are_compared_with_the_runs(name: str, rate: float, said: str) -> None:
    replica = replica_of(MEASURED[name], 1)
    late = replica.strip_ms + replica.late_wait_ms(rate / replica.strips_per_second)
    assert f"{late:.1f} ms" == said
    assert said in " ".join(PAGE.split())
    assert f"at {rate} strips/s for all" in RUNS
