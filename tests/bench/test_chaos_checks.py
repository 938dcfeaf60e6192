"""The checks of the chaos run find what is wrong, and only that."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.chaos_checks import Life, Record, table, violations
from bench.chaos_clients import Outcome
from bench.chaos_service import Counters


def good(version: int, **changes: object) -> Outcome:
    return replace(Outcome("good", 1, 200, 0.01, version, True), **changes)  # type: ignore[arg-type]  # fields by name


def record() -> Record:
    """One life: two answers, a bad file, a caller that left, and one of whom the service never heard."""
    outcomes = [
        good(1),
        good(2),
        Outcome("bad file", 1, 415, 0.01, right=True),
        Outcome("leaves", 1, None, 0.01),
        Outcome("leaves", 1, None, 0.01),
    ]
    counters = Counters(received=10, in_progress=1, ended=9, statuses={"200": 2, "415": 1, "left": 1})
    return Record(2000, outcomes, ended=[float(n) for n in range(5)], lives=[Life(counters)])


def test_a_good_run_has_no_violations_and_a_table() -> None:
    assert violations(record()) == []
    rows = [line.split() for line in table(record()).splitlines()]
    assert ["good", "2", "2", "0", "0", "0", "0.010", "s"] in rows
    assert ["1", "4", "2", "1", "0", "1", "0", "2", "1", "2", "0"] in rows


def with_outcome(outcome: Outcome, counted: str | None = None) -> Record:
    """Add a request, which the service counted as well."""
    one = record()
    statuses = dict(one.lives[0].counters.statuses)
    if counted is not None:
        statuses[counted] = statuses.get(counted, 0) + 1
    counters = replace(one.lives[0].counters, statuses=statuses)
    return replace(one, outcomes=[*one.outcomes, outcome], ended=[*one.ended, 50.0], lives=[Life(counters)])


def with_counters(**changes: object) -> Record:
    one = record()
    return replace(one, lives=[Life(replace(one.lives[0].counters, **changes))])  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda: with_outcome(good(2, right=False), "200"), "not the answer of version 2"),
        (
            lambda: with_outcome(good(2, seconds=2.3), "200"),
            "1 of 4 callers waited longer than 2.20 s, one 2.30 s",
        ),
        (lambda: with_outcome(good(2, status=500, right=None), "500"), "status 500"),
        (
            lambda: with_outcome(Outcome("bad file", 1, 200, 0.1, 2, False), "200"),
            "bad file, life 1: status 200",
        ),
        (lambda: with_outcome(Outcome("good", 1, None, 0.1, error="ConnectionResetError")), "no kill near"),
        (lambda: with_outcome(good(2)), "status 200: 2 counted, 3 seen"),
        (lambda: with_counters(statuses={"200": 3, "415": 2, "left": 1}), "6 requests counted, 3 seen and 2"),
        (lambda: with_counters(received=11), "11 received are not 9 ended + 1 in progress"),
        (lambda: with_counters(statuses={"200": 2, "415": 1, "left": 3}), "3 callers left, by the service"),
        (lambda: with_counters(statuses={"200": 2}), "status 415: 0 counted, 1 seen"),
        (lambda: with_counters(statuses={"200": 5, "415": 1}), "status 200: 5 counted, 2 seen, 2 unseen"),
        (lambda: replace(record(), problems=["a reload failed"]), "a reload failed"),
    ],
)
def test_what_is_wrong_is_found(broken: Callable[[], Record], said: str) -> None:
    assert any(said in text for text in violations(broken())), violations(broken())


def test_a_run_in_which_one_model_never_answered_tried_nothing() -> None:
    one = record()
    assert any(
        "the run tested nothing" in text
        for text in violations(replace(one, outcomes=[good(1), *one.outcomes[2:]], ended=one.ended[1:]))
    )


def test_a_connection_may_break_around_a_kill() -> None:
    one = with_outcome(Outcome("good", 1, None, 0.1, error="ConnectionResetError"))
    assert violations(replace(one, kills=[(49.5, 52.0)])) == []
