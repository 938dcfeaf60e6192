"""The calculator of replicas: its page shows what it prints, and its arithmetic keeps its promises."""

import dataclasses
import math
import re
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steel_capacity.__main__ import main
from steel_capacity.plan import MEASURED, Line, Plan, Replica, replica_of
from tools.audit import ROOT

PAGE = (ROOT / "docs" / "capacity.md").read_text()
RUNS = (ROOT / "docs" / "performance.md").read_text()
SHOWN = re.findall(r"```console\n\$ python -m steel_capacity (.*)\n((?:.*\n)*?)```", PAGE)

LINES = st.builds(
    Line,
    speed=st.floats(0.01, 100),
    width=st.floats(1, 5000),
    sides=st.integers(1, 2),
    mm_across=st.floats(0.01, 5),
    mm_along=st.floats(0.01, 5),
    overlap=st.integers(0, 200),
)
REPLICAS = st.builds(Replica, strips_per_second=st.floats(1, 5000), parallel=st.integers(1, 64))
PLANS = st.builds(
    Plan, line=LINES, replica=REPLICAS, utilisation=st.floats(0.05, 0.95), spare=st.integers(0, 5)
)


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


def test_the_page_shows_five_runs() -> None:
    assert len(SHOWN) == PAGE.count("$ python -m steel_capacity") == 5


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
        plan = Plan(Line(1.0, 1600, 1, 0.5, 0.5), Replica(float(strips), 2), utilisation=0.65, spare=0)
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("--speed 0", "argument --speed: a number from 1e-06 to 1e+06 is wanted; got '0'"),
        ("--speed nan", "got 'nan'"),
        ("--speed inf", "got 'inf'"),
        ("--width -1600", "argument --width: a number"),
        ("--width wide", "got 'wide'"),
        ("--sides 3", "argument --sides: a whole number from 1 to 2 is wanted; got '3'"),
        ("--sides 1.5", "got '1.5'"),
        ("--overlap -1", "argument --overlap"),
        ("--tile-along 10 --overlap 10", "tiles of 1600 x 10 pixels cannot share 10 of them"),
        ("--defective-share 1.1", "argument --defective-share: a number from 0 to 1 is wanted"),
        ("--utilisation 1", "argument --utilisation: a number from 0.01 to 0.99 is wanted"),
        ("--spare -1", "argument --spare"),
        ("--machine gpu", "argument --machine: invalid choice: 'gpu'"),
        ("--strips-per-second 900", "--strips-per-second and --parallel are wanted together"),
        ("--parallel 2", "--strips-per-second and --parallel are wanted together"),
        ("--strips-per-second 9 --parallel 1 --defective-share 0.5", "leave --defective-share out"),
    ],
)
def test_what_cannot_be_is_refused(changes: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--speed", "3", "--width", "1600", "--mm-across", "0.5", *changes.split()])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_your_own_measurement_counts(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--strips-per-second", "900", "--parallel", "1", "--spare", "0"]
    assert main(["--speed", "14.4", "--width", "1600", "--mm-across", "0.5", *own]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^a replica: as given\n  strips a second +900\.0$", printed, re.MULTILINE)
    assert re.search(r"^  needed +1 ", printed, re.MULTILINE)
    assert re.search(r"^  with replicas +1$", printed, re.MULTILINE)  # none to spare: one column


def test_a_clean_strip_takes_less() -> None:
    xeon = MEASURED["xeon"]
    assert replica_of(xeon, 1).strips_per_second == pytest.approx(xeon.strips_per_second)
    saved = replica_of(xeon, 1).strip_ms - replica_of(xeon, 0).strip_ms
    assert saved == pytest.approx(xeon.defective_ms - xeon.clean_ms)


def test_mm1_is_the_textbook_s() -> None:
    """With one place Erlang's C is the load, and the mean wait that over what is left."""
    replica = Replica(100, 1)
    assert replica.waiting_probability(0.8) == pytest.approx(0.8)
    assert replica.mean_wait_ms(0.8) == pytest.approx(1000 * 0.8 / (100 - 80))
    assert replica.late_wait_ms(0.005) == 0


@given(LINES)
@example(Line(14.4, 1600, 2, 0.5, 0.5))
def test_tiles_cover_the_steel_and_none_is_too_many(line: Line) -> None:
    step = line.tile_across - line.overlap
    pixels = line.width / line.mm_across
    assert line.columns * step + line.overlap >= pixels * (1 - 1e-6)
    assert line.columns == 1 or (line.columns - 1) * step + line.overlap < pixels
    new = line.rows_per_second * (line.tile_along - line.overlap) * line.mm_along / 1000
    assert new == pytest.approx(line.speed)


@given(PLANS)
def test_replicas_suffice_and_one_fewer_would_not(plan: Plan) -> None:
    assert plan.load(plan.needed) <= plan.utilisation * (1 + 1e-6)
    assert plan.needed == 1 or plan.load(plan.needed - 1) > plan.utilisation
    assert plan.replicas == plan.needed + plan.spare
    assert plan.fastest >= plan.line.speed * (1 - 1e-6)
    for factor, more in ((1 - 1e-6, False), (1.001, True)):
        faster = dataclasses.replace(plan.line, speed=plan.fastest * factor)
        assert (dataclasses.replace(plan, line=faster).needed > plan.needed) is more


@given(PLANS, st.floats(1, 10))
def test_more_work_never_needs_fewer_replicas(plan: Plan, factor: float) -> None:
    line = plan.line
    harder = [
        dataclasses.replace(line, speed=line.speed * factor),
        dataclasses.replace(line, width=line.width * factor),
        dataclasses.replace(line, sides=2),
        dataclasses.replace(line, mm_across=line.mm_across / factor),
        dataclasses.replace(line, mm_along=line.mm_along / factor),
        dataclasses.replace(line, overlap=line.overlap + 20),
    ]
    for other in harder:
        assert dataclasses.replace(plan, line=other).needed >= plan.needed
    replica = dataclasses.replace(plan.replica, strips_per_second=plan.replica.strips_per_second * factor)
    assert dataclasses.replace(plan, replica=replica).needed <= plan.needed


@given(REPLICAS, st.floats(0.001, 0.98), st.floats(0.001, 0.98))
def test_waits_grow_with_the_load(replica: Replica, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= replica.waiting_probability(low) <= 1
    assert replica.mean_wait_ms(low) <= replica.mean_wait_ms(high) * (1 + 1e-9)
    assert replica.late_wait_ms(low) <= replica.late_wait_ms(high) * (1 + 1e-9)


@given(PLANS)
def test_a_spare_replica_never_makes_answers_later(plan: Plan) -> None:
    assert plan.latency_ms(plan.needed + 1) <= plan.latency_ms(plan.needed) * (1 + 1e-9)
    assert math.isfinite(plan.latency_ms(plan.needed))
    assert plan.latency_ms(plan.needed) >= plan.line.tile_ms + plan.replica.strip_ms


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(MEASURED)))
def test_more_defects_never_make_a_replica_faster(one: float, other: float, name: str) -> None:
    few, many = sorted((one, other))
    measured = MEASURED[name]
    assert replica_of(measured, many).strips_per_second <= replica_of(measured, few).strips_per_second * (
        1 + 1e-9
    )
