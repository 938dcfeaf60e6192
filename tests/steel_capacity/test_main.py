"""The command line of the calculator."""

import re
from pathlib import Path

import pytest

from steel_capacity.__main__ import main
from tests.support.seven_kinds import write_seven_model


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
            "expected an overlap smaller than a frame of 1600 x 10 pixels, got 10",
        ),
        ("--frame-across 800", "expected a frame of at least 1600x256 pixels, a tile, got 800x256"),
        ("--model /nowhere", "--model: there is no model at /nowhere"),
        ("--model models --tile-across 64", "expected --model, which says its tile, or --tile-across"),
        (
            "--tile-across 1024 --tile-along 512",
            "are those of steel-unet-resnet18-fast with tiles of 1600 x 256 pixels, got a model with tiles "
            "of 1024 x 512: measure yours, --strips-per-second and --parallel",
        ),
        ("--model models/steel-unet-resnet18", "got steel-unet-resnet18 with tiles of 1600 x 256"),
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


@pytest.mark.parametrize(("pad", "frame", "tiles"), [(False, (300, 96), 6), (True, (100, 20), 1)])
def test_tiles_are_those_of_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pad: bool, frame: tuple[int, int], tiles: int
) -> None:
    model = write_seven_model(tmp_path / "1" / "model.onnx", pad=pad)
    line = ["--speed", "1", "--width", "150", "--mm-across", "0.5", "--sides", "1", "--model", str(model)]
    sent = ["--frame-across", str(frame[0]), "--frame-along", str(frame[1])]
    own = ["--strips-per-second", "600", "--parallel", "2"]
    assert main([*line, *sent, *own]) == 0
    printed = capsys.readouterr().out
    if tiles == 1:
        assert re.search(r"^  strips per second +600\.0$", printed, re.MULTILINE)
        return
    assert re.search(r"^  a frame +150 x 48 mm$", printed, re.MULTILINE)
    assert re.search(rf"^  tiles of a frame +{tiles}$", printed, re.MULTILINE)
    assert re.search(r"^  frames per second +100\.0$", printed, re.MULTILINE)
    assert re.search(r"^  processing +10\.0 ", printed, re.MULTILINE)
    with pytest.raises(SystemExit):
        main([*line, *sent])
    assert "got tiny with tiles of 128 x 64: measure yours" in capsys.readouterr().err
