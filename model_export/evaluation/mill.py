"""How often each combination of classes occurs at a mill, and scores at that balance."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tables import read_table
from model_export.errors import DataError, OptionError
from model_export.metrics import Overlap, wilson_interval

BALANCE_FILE = "balance.csv"
"""Beside the labels of a data set."""

Kind = frozenset[int]
"""Positions of the classes on a strip; empty if it is clean."""


@dataclass(frozen=True)
class ClassBalance:
    """Number or share of strips per combination of classes."""

    strips: Mapping[Kind, float]
    source: str
    """Where it comes from, in words."""
    is_known: bool = True
    """Whether it is the mill's, not that of the strips that happen to be scored."""

    def share(self, kind: Kind) -> float:
        """Return the share of strips with exactly these classes."""
        return self.strips.get(kind, 0.0) / math.fsum(self.strips.values())

    @property
    def clean_share(self) -> float:
        """Share of the strips without a defect."""
        return self.share(frozenset())


def choose_balance(
    strips: Sequence[LabelledStrip],
    class_ids: Sequence[int],
    *,
    data: Path | None,
    file: Path | None,
    clean_share: float | None,
) -> ClassBalance:
    """Return the mill's balance as far as it is known, else that of the strips.

    Args:
        strips: those that are scored.
        class_ids: of the model.
        data: folder of the data set, which may hold ``balance.csv``.
        file: table of the balance.
        clean_share: share of clean strips at the mill; the defective ones are mixed as in ``strips``.

    Raises:
        OptionError: if both file and share are given, or the share is none.
        DataError: if the table is none, or the strips lack what the share is about.
    """
    if file is not None and clean_share is not None:
        raise OptionError("expected --balance or --clean-share, got both")
    counts = Counter(strip.classes for strip in strips)
    if clean_share is not None:
        return _at_clean_share(counts, clean_share)
    if file is None and data is not None and (data / BALANCE_FILE).is_file():
        file = data / BALANCE_FILE
    if file is not None:
        return ClassBalance(read_balance(file, class_ids), f"the balance of {file.name}")
    return ClassBalance(dict(counts), "the balance of these strips", is_known=False)


def _at_clean_share(counts: Mapping[Kind, int], clean_share: float) -> ClassBalance:
    if not 0 <= clean_share <= 1:
        raise OptionError(f"--clean-share: expected 0 to 1, got {clean_share}")
    defective = {kind: count for kind, count in counts.items() if kind}
    if clean_share < 1 and not defective:
        raise DataError("--clean-share: expected defective strips among those that are scored, got none")
    total = sum(defective.values())
    shares = {kind: (1 - clean_share) * count / total for kind, count in defective.items()}
    source = f"--clean-share {clean_share:g}, the defective strips mixed as here"
    return ClassBalance(shares | {frozenset(): clean_share}, source)


def read_balance(path: Path, class_ids: Sequence[int]) -> dict[Kind, float]:
    """Read a table with the columns Classes, ids with blanks between them, and Strips, a number or a share.

    A row without classes is that of the clean strips.

    Raises:
        DataError: naming the line, if a row has unknown classes, comes twice or has no number; or if the
            table is empty.
    """
    found: dict[Kind, float] = {}
    for line, row in read_table(path, ("Classes", "Strips")):
        ids = row["Classes"].split()
        unknown = [one for one in ids if not one.isdecimal() or int(one) not in class_ids]
        if unknown:
            known = " ".join(map(str, class_ids))
            raise DataError(f"{path}, line {line}: expected ids of classes ({known}), got {unknown[0]!r}")
        kind = frozenset(class_ids.index(int(one)) for one in ids)
        if kind in found:
            raise DataError(
                f"{path}, line {line}: {row['Classes'] or 'clean strips'}: expected once, got again"
            )
        found[kind] = _number(row["Strips"], f"{path}, line {line}")
    if not math.fsum(found.values()):
        raise DataError(f"{path}: expected strips, got none")
    return found


def _number(text: str, at: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise DataError(f"{at}: expected a number of strips or a share, got {text!r}")
    return number


def mill_weights(strips: Sequence[LabelledStrip], balance: ClassBalance) -> tuple[list[float], float]:
    """Weigh strips so that each combination of classes counts as in the balance (post-stratification).

    Returns:
        A weight per strip, with mean 1, and the share of the balance whose combinations occur among the
        strips; these say nothing about the others.
    """
    counts = Counter(strip.classes for strip in strips)
    covered = math.fsum(balance.share(kind) for kind in counts)
    weights = [balance.share(strip.classes) / counts[strip.classes] for strip in strips]
    scale = len(strips) / covered if covered else 0.0
    return [weight * scale for weight in weights], covered


def describe_thousand(
    strips: Sequence[LabelledStrip], overlaps: Sequence[Sequence[Overlap]], balance: ClassBalance
) -> str:
    """Say what becomes of 1,000 strips at a balance: false alarms, missed and found ones.

    Args:
        strips: those that are scored.
        overlaps: per strip, an entry per class.
        balance: of the classes.
    """
    weights, covered = mill_weights(strips, balance)
    reported = [any(one.predicted for one in strip) for strip in overlaps]
    rows = list(zip(strips, reported, weights, strict=True))
    clean = [is_reported for strip, is_reported, _ in rows if not strip.classes]
    thousand = 1000 / (math.fsum(weights) or 1.0)
    missed = thousand * math.fsum(own for strip, found, own in rows if strip.classes and not found)
    found = thousand * math.fsum(own for strip, found, own in rows if strip.classes and found)
    if clean:
        share = sum(clean) / len(clean)
        low, high = wilson_interval(share, len(clean))
        among = thousand * math.fsum(own for strip, _, own in rows if not strip.classes)
        alarms = f"{among * share:.0f} false alarms ({among * low:.0f} to {among * high:.0f})"
    else:
        alarms = "false alarms unknown, for want of clean strips"
    text = f"of 1,000 strips: {alarms}, {found:.0f} defective ones found, {missed:.0f} missed"
    if not balance.is_known:
        return (
            f"{text}; at {balance.source} ({balance.clean_share:.0%} clean), not the mill's, which is "
            "unknown: --clean-share or --balance names it"
        )
    part = "" if covered > 0.9995 else f"; combinations of classes that make up {covered:.1%} of it are here"
    return f"{text}; at {balance.source} ({balance.clean_share:.1%} clean{part})"
