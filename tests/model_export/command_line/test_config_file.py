"""Options in a file: what it may hold, what wins, and what is refused with its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from model_export.command_line.commands import COMMANDS
from model_export.command_line.options import list_options
from model_export.command_line.parse import parse
from model_export.errors import OptionError
from model_export.evaluation.evaluate import EvaluateConfig
from model_export.network.steel_network import NetworkConfig
from model_export.training.config import TrainConfig

CONFIGS = {name: config for name, (config, _) in COMMANDS.items()}


def parse_with(text: str, tmp_path: Path, *arguments: str, command: str = "train") -> object:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return parse([command, "--config", str(path), *arguments], CONFIGS)[1]


def test_a_file_sets_options(tmp_path: Path) -> None:
    text = """
        # a recipe
        epochs: 3
        learning-rate: 1e-4
        decoder_channels: [16, 8]
        encoder: resnet34
        resume: true
        bits: 12
        augment: []
        data: path with spaces/data
        patience: null
        """
    assert parse_with(text, tmp_path) == TrainConfig(
        epochs=3,
        learning_rate=1e-4,
        network=NetworkConfig(encoder="resnet34", decoder_channels=(16, 8)),
        resume=True,
        bits="12",
        augment=(),
        data=Path("path with spaces/data"),
    )


def test_the_command_line_wins(tmp_path: Path) -> None:
    text = "epochs: 3\nresume: yes\naugment: [hflip, vflip]\nout: here\n"
    config = parse_with(text, tmp_path, "--epochs=5", "--no-resume", "--augment", "noise")
    assert config == TrainConfig(epochs=5, augment=("noise",), out=Path("here"))


def test_the_place_of_the_option_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("teacher: [a.pt, b.pt]\n")
    expected = TrainConfig(teacher=(Path("a.pt"), Path("b.pt")), augment=("noise",), epochs=4)
    for arguments in (
        ["--config", str(path), "--augment", "noise", "--epochs", "4"],
        ["--augment", "noise", f"--config={path}", "--epochs", "4"],
        ["--epochs", "4", "--augment", "noise", "--config", str(path)],
    ):
        assert parse(["train", *arguments], CONFIGS)[1] == expected


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert parse_with("# nothing yet\n", tmp_path, command="evaluate") == EvaluateConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nepoch: 4\n", "own.yaml, line 2: expected an option of the command, got 'epoch'"),
        ("epochs: 3\n\nepochs: 4\n", "own.yaml, line 3: epochs: expected once, got it again"),
        ("only: [1]\n", "line 1: expected an option of the command, got 'only'"),
        ("network:\n  encoder: resnet34\n", "line 1: expected an option of the command, got 'network'"),
        ("config: other.yaml\n", "line 1: expected an option of the command, got 'config'"),
        ("epochs: 3\nresume: 1\n", "line 2: resume: expected true or false, got '1'"),
        ("encoder: {a: b}\n", "line 1: encoder: expected a value or a list of values"),
        ("encoder: [[a]]\n", "line 1: encoder: expected a value or a list of values"),
        ("encoder: ''\n", "line 1: --encoder: expected a value, got an empty one"),
        ("encoder: --resume\n", "line 1: encoder: expected a value, got '--resume', which looks"),
        ("- epochs\n", "line 1: expected lines of the form OPTION: VALUE"),
        ("epochs: 3\nout: [a\n", "own.yaml, line 3: "),
        ("epochs: three\n", "Error parsing --epochs: invalid literal for int()"),
    ],
)
def test_what_a_file_may_not_hold(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as refused:
        parse_with(text, tmp_path)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(OptionError, match=rf"--config: {path}: {reason}"):
            parse(["train", "--config", str(path)], CONFIGS)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="bytes: expected a text in UTF-8"):
        parse(["train", "--config", str(tmp_path / "bytes")], CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_option_of_every_command_can_stand_in_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([name, "--help"], CONFIGS)
    page = capsys.readouterr().out
    for option in list_options(CONFIGS[name]):
        assert f"--{option} " in page or f"--{option}\n" in page or f"--{option}, " in page, option


def test_networks_options_are_those_of_the_training() -> None:
    changed = replace(TrainConfig(), network=NetworkConfig(dropout=0.5))
    assert parse(["train", "--dropout", "0.5"], CONFIGS) == ("train", changed)
