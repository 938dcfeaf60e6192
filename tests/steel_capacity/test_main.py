"""The command line of the calculator."""

import re

import pytest

from steel_capacity.__main__ import main


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
