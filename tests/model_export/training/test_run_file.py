"""run.yaml: what a training writes is what ``--config`` reads."""

from dataclasses import replace
from pathlib import Path

from model_export.command_line.commands import COMMANDS
from model_export.command_line.parse import parse
from model_export.data.draw import DrawConfig, draw
from model_export.training.config import TrainConfig
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from model_export.training.run_file import write_run_file
from model_export.training.train import train
from tests.support.quick_training import TINY

CONFIGS = {name: config for name, (config, _) in COMMANDS.items()}


def test_a_training_is_repeated_by_its_file(tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path / "run", epochs=1, augment=(), seed=7)
    train(config)
    path = tmp_path / "run" / "run.yaml"
    assert parse(["train", "--config", str(path)], CONFIGS) == ("train", config)
    text = path.read_text()
    train(replace(config, resume=True))
    assert path.read_text() == text


def test_every_option_is_in_the_file(tmp_path: Path) -> None:
    config = TrainConfig(
        data=tmp_path / "a: b #c",
        out=tmp_path,
        bits="12",
        fold=2,
        encoder_weights="none",
        teacher=(Path("x.pt"), Path("y z.pt")),
        learning_rate=1e-7,
        device="cuda:1",
    )
    write_run_file(config, "train")
    assert parse(["train", "--config", str(tmp_path / "run.yaml")], CONFIGS)[1] == config


def test_a_cross_validation_has_a_file_too(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=6))
    config = CrossValidateConfig(
        **vars(replace(TINY, data=tmp_path / "data", out=tmp_path / "run", epochs=1, folds=2, drawn=0)),
        only=(1,),
    )
    cross_validate(config)
    read = parse(["cross-validate", "--config", str(tmp_path / "run" / "run.yaml")], CONFIGS)[1]
    assert read == replace(config, only=())
    fold = parse(["train", "--config", str(tmp_path / "run" / "fold-1" / "run.yaml")], CONFIGS)[1]
    assert fold.fold == 1
