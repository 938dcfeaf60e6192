"""The arithmetic of the calculator."""

import dataclasses
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.model.tiles import plan_tiles
from steel_capacity.plan import MEASURED, Line, Plan, Replica, replica_of, tiles_of

LINES = st.builds(
    Line,
    speed=st.floats(0.01, 100),
    width=st.floats(1, 5000),
    sides=st.integers(1, 2),
    mm_across=st.floats(0.01, 5),
    mm_along=st.floats(0.01, 5),
    frame_across=st.sampled_from([1600, 640, 8192]),
    frame_along=st.sampled_from([256, 1024]),
    overlap=st.integers(0, 200),
)


REPLICAS = st.builds(Replica, strips_per_second=st.floats(1, 5000), parallel=st.integers(1, 64))
PLANS = st.builds(
    Plan, line=LINES, replica=REPLICAS, utilisation=st.floats(0.05, 0.95), spare=st.integers(0, 5)
)


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
@example(Line(14.4, 1600, 2, 0.5, 0.5, 1600, 256))
def test_frames_cover_the_steel_and_none_is_too_many(line: Line) -> None:
    step = line.frame_across - line.overlap
    pixels = line.width / line.mm_across
    assert line.columns * step + line.overlap >= pixels * (1 - 1e-6)
    assert line.columns == 1 or (line.columns - 1) * step + line.overlap < pixels
    new = line.rows_per_second * (line.frame_along - line.overlap) * line.mm_along / 1000
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
    assert plan.latency_ms(plan.needed) >= plan.line.frame_ms + plan.replica.strip_ms


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(MEASURED)))
def test_more_defects_never_make_a_replica_faster(one: float, other: float, name: str) -> None:
    few, many = sorted((one, other))
    measured = MEASURED[name]
    assert replica_of(measured, many).strips_per_second <= replica_of(measured, few).strips_per_second * (
        1 + 1e-9
    )


@given(REPLICAS, st.integers(1, 64))
def test_a_frame_costs_what_its_tiles_cost(replica: Replica, tiles: int) -> None:
    frames = replica.for_frames(tiles)
    assert frames.strips_per_second * tiles == pytest.approx(replica.strips_per_second)
    assert replica.for_frames(1) == replica
    if tiles >= replica.parallel:  # all places work at one frame
        assert frames.strip_ms == pytest.approx(replica.strip_ms * tiles / replica.parallel)
    else:
        assert frames.strip_ms <= replica.strip_ms * (1 + 1e-9)


def test_a_frame_has_the_tiles_that_the_service_cuts() -> None:
    assert tiles_of(1600, 256, 1600, 256, pad=False) == 1
    assert tiles_of(4096, 1024, 1600, 256, pad=False) == plan_tiles(1024, 4096, 256, 1600).count == 15
    assert tiles_of(256, 1600, 256, 1600, pad=False) == 1
    assert tiles_of(800, 600, 1600, 256, pad=True) == tiles_of(1600, 600, 1600, 256, pad=False) == 3
    with pytest.raises(ValueError, match="expected a frame of at least 1600x256 pixels, a tile, got 800x600"):
        tiles_of(800, 600, 1600, 256, pad=False)
