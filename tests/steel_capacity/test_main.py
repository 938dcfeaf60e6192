"""The command line of the calculator."""

import re

import pytest

from steel_capacity.__main__ import main


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("--speed 0", "argument --speed: expected a number from 1e-06 to 1e+06, got '0'"),
        ("--speed nan", "got 'nan'"),
        ("--speed inf", "got 'inf'"),
        ("--width -1600", "argument --width: expected a number"),
        ("--width wide", "got 'wide'"),
        ("--sides 3", "argument --sides: expected an integer from 1 to 2, got '3'"),
        ("--sides 1.5", "got '1.5'"),
        ("--overlap -1", "argument --overlap"),
        (
            "--tile-along 10 --overlap 10",
            "expected an overlap smaller than a tile of 1600 x 10 pixels, got 10",
        ),
        ("--defective-share 1.1", "argument --defective-share: expected a number from 0 to 1"),
        ("--utilisation 1", "argument --utilisation: expected a number from 0.01 to 0.99"),
        ("--spare -1", "argument --spare"),
        ("--machine gpu", "argument --machine: invalid choice: 'gpu'"),
        ("--strips-per-second 900", "expected both --strips-per-second and --parallel"),
        ("--parallel 2", "expected both --strips-per-second and --parallel"),
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
    assert re.search(r"^a replica: as given\n  strips per second +900\.0$", printed, re.MULTILINE)
    assert re.search(r"^  needed +1 ", printed, re.MULTILINE)
    assert re.search(r"^  replicas +1$", printed, re.MULTILINE)  # none to spare: one column
