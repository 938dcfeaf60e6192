"""The mill's balance of classes, and scores at it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from model_export.data.draw import DrawConfig, draw
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError, OptionError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.mill import (
    ClassBalance,
    choose_balance,
    describe_thousand,
    mill_weights,
    read_balance,
)
from model_export.metrics import Overlap
from tests.support.serving import ROOT

SEVERSTAL = ROOT / "examples" / "severstal-balance.csv"
IDS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Strip:
    """A strip of which only the classes matter."""

    classes: frozenset[int]
    name: str = "a.png"

    def load(self) -> tuple[object, object]:
        raise NotImplementedError


def strips(*kinds: str) -> list[Strip]:
    """Return strips with classes of these ids, which are one more than their positions."""
    return [Strip(frozenset(int(one) - 1 for one in kind.split())) for kind in kinds]


def reports(*reported: bool) -> list[list[Overlap]]:
    return [[Overlap(9 * int(one), 9, 0)] for one in reported]


def test_weights_bring_strips_to_the_balance_of_the_mill() -> None:
    chosen = drawn_strips(30, 0)
    balance = ClassBalance(read_balance(SEVERSTAL, IDS), "Severstal's")
    weights, covered = mill_weights(chosen, balance)
    assert sum(weights) == pytest.approx(len(chosen))
    clean = sum(weight for weight, strip in zip(weights, chosen, strict=True) if not strip.classes)
    present = sum(balance.share(classes) for classes in {strip.classes for strip in chosen})
    assert clean / len(chosen) == pytest.approx(balance.clean_share / present)
    assert covered == pytest.approx(present)
    assert balance.clean_share == pytest.approx(5887 / 12513)


def test_the_balance_is_the_mills_if_it_is_known(tmp_path: Path) -> None:
    some = strips("", "1", "1", "1 2")

    def choose(file: Path | None = None, clean_share: float | None = None) -> ClassBalance:
        return choose_balance(some, IDS, data=tmp_path, file=file, clean_share=clean_share)  # type: ignore[arg-type]

    own = choose()
    assert not own.is_known
    assert own.clean_share == 0.25
    (tmp_path / "balance.csv").write_text("Classes,Strips\n,90\n1,10\n")
    assert choose().is_known
    assert choose().clean_share == 0.9
    (tmp_path / "other.csv").write_text("strips;classes\r\n0.5;\r\n0.5;2 1\r\n")
    assert choose(file=tmp_path / "other.csv").share(frozenset({0, 1})) == 0.5
    given = choose(clean_share=0.97)
    assert given.clean_share == pytest.approx(0.97)
    assert given.share(frozenset({0})) == pytest.approx(0.02)
    with pytest.raises(OptionError, match="expected --balance or --clean-share, got both"):
        choose(tmp_path / "other.csv", 0.5)
    with pytest.raises(OptionError, match="--clean-share: expected 0 to 1, got 97"):
        choose(clean_share=97)
    with pytest.raises(DataError, match="expected defective strips"):
        choose_balance(strips(""), IDS, data=None, file=None, clean_share=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (",5\n7,1\n", r"line 3: expected ids of classes \(1 2 3 4\), got '7'"),
        ("pitting,5\n", "line 2: expected ids of classes .*, got 'pitting'"),
        ("1 2,5\n2 1,5\n", "line 3: 2 1: expected once, got again"),
        (",5\n,5\n", "line 3: clean strips: expected once, got again"),
        (",many\n", "line 2: expected a number of strips or a share, got 'many'"),
        (",-1\n", "line 2: expected a number of strips or a share, got '-1'"),
        (",0\n", "expected strips, got none"),
        ("", "expected strips, got none"),
    ],
)
def test_a_table_that_is_none(rows: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "balance.csv"
    path.write_text("Classes,Strips\n" + rows)
    with pytest.raises(DataError, match=message):
        read_balance(path, IDS)


def test_what_becomes_of_a_thousand_strips() -> None:
    some, found = strips("", "", "1", "1"), reports(True, False, True, False)
    at_mill = ClassBalance({frozenset(): 980, frozenset({0}): 20}, "a balance")
    text = describe_thousand(some, found, at_mill)  # type: ignore[arg-type]
    assert "490 false alarms (93 to 887), 10 defective ones found, 10 missed" in text
    assert text.endswith("at a balance (98.0% clean)")
    here = choose_balance(some, IDS, data=None, file=None, clean_share=None)  # type: ignore[arg-type]
    text = describe_thousand(some, found, here)  # type: ignore[arg-type]
    assert "250 false alarms" in text
    assert "at the balance of these strips (50% clean), not the mill's, which is unknown" in text
    elsewhere = ClassBalance({frozenset({1}): 1, frozenset({0}): 1}, "a balance")
    assert "that make up 50.0% of it are here" in describe_thousand(some, found, elsewhere)  # type: ignore[arg-type]


def test_evaluate_at_the_balance_of_the_data(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(DrawConfig(out=tmp_path, count=10))
    config = EvaluateConfig(data=tmp_path, model=tiny_model, profile="inspection")
    evaluate(config)
    text = capsys.readouterr().out
    assert "at the balance of these strips (20% clean), not the mill's" in text
    assert "weighted to" not in text
    (tmp_path / "balance.csv").write_text("Classes,Strips\n,99\n1,1\n")
    evaluate(config)
    text = capsys.readouterr().out
    assert "weighted to the balance of balance.csv:" in text
    assert "of 1,000 strips: " in text
