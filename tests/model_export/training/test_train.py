"""Training: learning rate, start from another training, early stopping, options."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import KaggleStrip
from model_export.data.split import split_fold
from model_export.data.synthetic import drawn_strips
from model_export.errors import DataError, OptionError, TrainingError
from model_export.network.steel_network import NetworkConfig
from model_export.training.checkpoint import load_checkpoint
from model_export.training.config import TrainConfig
from model_export.training.optimization import learning_rate_factor
from model_export.training.sources import list_samples, list_strips, make_split
from model_export.training.train import train
from tests.support.quick_training import TINY


@pytest.mark.slow
def test_training_starts_from_another_and_stops_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(replace(TINY, out=tmp_path / "first", epochs=1))
    config = replace(
        TINY,
        out=tmp_path / "second",
        start_from=first,
        epochs=30,
        patience=1,
        validate_every=1,
        learning_rate=0.0,
    )
    second = load_checkpoint(train(config))
    assert "stopped: no better score in 1 validations" in capsys.readouterr().out
    assert load_checkpoint(train(replace(config, resume=True))).epoch == second.epoch
    assert "epoch" not in capsys.readouterr().out
    for name, tensor in load_checkpoint(first).averaged.items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(second.averaged[name], tensor, msg=name)
    other = replace(config, out=tmp_path / "third", network=NetworkConfig())
    with pytest.raises(DataError, match="holds another network"):
        train(other)


def test_early_stopping_needs_strips_to_go_by(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with --fold there are none"):
        train(replace(TINY, out=tmp_path, fold=1, patience=1))


def test_options_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--whole-epochs 3 is more than --epochs 2"):
        train(replace(TINY, out=tmp_path, whole_epochs=3))
    with pytest.raises(OptionError, match="--fold needs photographed strips"):
        train(replace(TINY, out=tmp_path, fold=1))
    with pytest.raises(ValueError, match="do not fill 6 folds"):
        split_fold(drawn_strips(3, 0), 6, 1, seed=0)
    draw(DrawConfig(out=tmp_path / "data", count=8))
    greedy = replace(TINY, data=tmp_path / "data", out=tmp_path, folds=3, drawn_share=0.7, pasted_share=0.4)
    with pytest.raises(ValueError, match="add up to more than 1"):
        train(greedy)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"samples_per_epoch": 0},
        {"batch_size": 0},
        {"validate_every": 0},
        {"drawn_share": -0.1},
        {"pasted_share": 1.5},
        {"teacher_share": 2.0},
        {"warm_up": -1.0},
        {"ema_decay": 1.0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_number_that_cannot_be_is_named(options: dict[str, float], tmp_path: Path) -> None:
    name = "--" + next(iter(options)).replace("_", "-")
    with pytest.raises(ValueError, match=f"{name}: expected .*, got {next(iter(options.values()))}"):
        train(replace(TINY, out=tmp_path / "run", **options))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_foreign_mills_strips_are_not_mixed_with_drawn_ones(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path, count=8))
    config = TrainConfig(data=tmp_path, fold=0, drawn=3)
    strips = list_strips(config)
    samples, groups = list_samples(config, strips, make_split(config, strips))
    shown = {type(samples[index]) for indices, share in groups if share for index in indices}
    assert shown == {KaggleStrip}


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1, batch 2: lower --learning-rate"):
        train(replace(TINY, out=tmp_path, learning_rate=1e30, warm_up=0.0, samples_per_epoch=6))
    assert not (tmp_path / "last.pt").exists()


def test_options_that_differ_from_the_resumed_trainings_are_an_error(tmp_path: Path) -> None:
    config = replace(TINY, out=tmp_path, epochs=1)
    train(config)
    resumed = replace(config, resume=True)
    with pytest.raises(ValueError, match=r"--epochs 3 \(the checkpoint has 1\)"):
        train(replace(resumed, epochs=3))
    with pytest.raises(ValueError, match=r"--network .*--mask-loss dice \(the checkpoint has 5\*bce\+dice\)"):
        train(replace(resumed, network=replace(TINY.network, dropout=0.1), mask_loss="dice"))
    assert train(replace(resumed, threads=1)) == tmp_path / "best.pt"
    assert train(TrainConfig(out=tmp_path, resume=True)) == tmp_path / "best.pt"


def test_validation_has_a_loss_in_the_log(tmp_path: Path) -> None:
    train(replace(TINY, out=tmp_path, epochs=2, validate_every=2))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["validation_loss"] == ""
    assert float(second["validation_loss"]) > 0


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1
    assert factors[100] == pytest.approx(0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
