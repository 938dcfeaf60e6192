"""Checks of a chaos run, and its table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.chaos_clients import Outcome
from bench.chaos_service import Counters

_DOCUMENTED = (429, 503, 504)
"""Refusals with Retry-After, and exceeded deadlines."""
_REFUSED = (*range(400, 500), 503, 504)
_AROUND = 1.0
"""Seconds around a kill and the following start in which connections may break."""


@dataclass(frozen=True)
class Life:
    """One life of the service: the time of one process."""

    counters: Counters
    unsettled: int = 0
    """Requests that may have been answered after the counters were read, or not at all."""


@dataclass
class Record:
    """Record of a chaos run."""

    deadline_ms: int
    outcomes: Sequence[Outcome]
    ended: list[float] = field(default_factory=list)
    """Time of each outcome, on the clock of ``kills``."""
    lives: list[Life] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)
    """Time of each kill, and time at which the next life was ready."""
    reloads: Counter[str] = field(default_factory=Counter)
    lag: float = 0.0
    """Largest delay of the generator in seconds."""
    problems: list[str] = field(default_factory=list)
    """Problems seen during the run."""


def violations(record: Record) -> list[str]:
    """Return a line per violation; an empty list if every check passed."""
    found = list(record.problems)
    limit = 1.1 * record.deadline_ms / 1000
    answered = Counter[int]()
    waits = [one.seconds for one in record.outcomes if one.kind != "leaves" and one.status is not None]
    late = [seconds for seconds in waits if seconds > limit]
    if late:
        found.append(
            f"{len(late)} of {len(waits)} callers waited longer than {limit:.2f} s, one "
            f"{max(late):.2f} s; the generator was up to {record.lag:.2f} s late"
        )
    for outcome, ended in zip(record.outcomes, record.ended, strict=True):
        what = f"{outcome.kind}, life {outcome.life}"
        if outcome.error is not None:
            if not any(died - _AROUND <= ended <= back + _AROUND for died, back in record.kills):
                found.append(f"{what}: {outcome.error} with no kill near")
        elif outcome.kind == "good" and outcome.status == 200:
            answered[(outcome.version or 0) % 2] += 1
            if not outcome.right:
                found.append(f"{what}: not the answer of version {outcome.version}")
        elif outcome.kind == "bad file" and outcome.status not in _DOCUMENTED:
            if not outcome.right:
                found.append(f"{what}: status {outcome.status}")
        elif outcome.kind == "good" and outcome.status not in _DOCUMENTED:
            found.append(f"{what}: status {outcome.status}")
    for number, life in enumerate(record.lives, 1):
        found += [
            f"life {number}: {text}" for text in _sums(life, [o for o in record.outcomes if o.life == number])
        ]
    if min(answered[0], answered[1]) == 0:
        found.append("one kind of model never answered: the run tested nothing")
    return found


def _sums(life: Life, outcomes: Sequence[Outcome]) -> list[str]:
    """Compare the service's counters with each other and with the clients' counts."""
    counters, found = life.counters, []
    if counters.received != counters.ended + counters.in_progress:
        sums = f"{counters.ended} ended + {counters.in_progress} in progress"
        found.append(f"{counters.received} received are not {sums}")
    seen = Counter(str(outcome.status) for outcome in outcomes if outcome.status is not None)
    unseen = sum(outcome.status is None for outcome in outcomes)  # disconnected, or the connection broke
    for status in {*seen, *counters.statuses} - {"left"}:
        counted = counters.statuses.get(status, 0)
        if not seen[status] - life.unsettled <= counted <= seen[status] + unseen:
            found.append(
                f"status {status}: {counted} counted, {seen[status]} seen, {unseen} unseen, "
                f"{life.unsettled} unsettled"
            )
    total = sum(counters.statuses.values())
    if not sum(seen.values()) - life.unsettled <= total <= sum(seen.values()) + unseen:
        found.append(f"{total} requests counted, {sum(seen.values())} seen and {unseen} unseen")
    if counters.statuses.get("left", 0) > unseen:
        found.append(f"{counters.statuses['left']} callers left, by the service; {unseen} by their own count")
    return found


def table(record: Record) -> str:
    """Format the record as a table."""
    heads = ("sent", "200 right", "refused", "left", "broken", "slowest")
    lines = [f"{'caller':<10}" + "".join(f"{head:>11}" for head in heads)]
    for kind in ("good", "bad file", "leaves"):
        own = [outcome for outcome in record.outcomes if outcome.kind == kind]
        right = sum(outcome.status == 200 and outcome.right is not False for outcome in own)
        refused = sum(outcome.status not in (None, 200) for outcome in own)
        left = sum(outcome.status is None and outcome.error is None for outcome in own)
        broken = sum(outcome.error is not None for outcome in own)
        slowest = max((outcome.seconds for outcome in own if outcome.status is not None), default=0.0)
        cells = (len(own), right, refused, left, broken, f"{slowest:.3f} s")
        lines.append(f"{kind:<10}" + "".join(f"{cell:>11}" for cell in cells))
    heads = ("received", "= answered", "+ refused", "+ failed", "+ left", "+ running")
    saw = ("200", "others", "none", "unsettled")
    lines += ["", f"{'life':<5}" + "".join(f"{head:>11}" for head in (*heads, "callers:", *saw))]
    for number, life in enumerate(record.lives, 1):
        row = (*_by_service(life.counters), "", *_by_callers(record.outcomes, number), life.unsettled)
        lines.append(f"{number:<5}" + "".join(f"{cell:>11}" for cell in row))
    versions = Counter(o.version for o in record.outcomes if o.version is not None)
    errors = Counter(outcome.error for outcome in record.outcomes if outcome.error is not None)
    down = ", ".join(f"{back - died:.1f} s" for died, back in record.kills)
    lines += [
        "",
        f"reloads: {dict(record.reloads)}; versions that answered: {len(versions)}; "
        f"kills: {len(record.kills)} (down for {down}); broken connections: {dict(errors)}",
        f"the generator was up to {record.lag:.3f} s late; deadline {record.deadline_ms / 1000:g} s",
    ]
    return "\n".join(lines)


def _by_service(counters: Counters) -> tuple[int, int, int, int, int, int]:
    """Return requests of /predict: received, answered, refused, failed, left, in progress."""
    answered, left = (counters.statuses.get(status, 0) for status in ("200", "left"))
    refused = sum(
        n for status, n in counters.statuses.items() if status.isdigit() and int(status) in _REFUSED
    )
    failed = sum(counters.statuses.values()) - answered - refused - left
    running = counters.in_progress - 1  # without the request that read it
    return answered + refused + failed + left + running, answered, refused, failed, left, running


def _by_callers(outcomes: Sequence[Outcome], life: int) -> tuple[int, int, int]:
    """Return requests that ended with 200, with another status, with none."""
    own = [outcome.status for outcome in outcomes if outcome.life == life]
    return own.count(200), len(own) - own.count(200) - own.count(None), own.count(None)
