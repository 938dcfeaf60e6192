"""Several processes that train one network, as torchrun starts them."""

import csv
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from model_export.data.dataset import BalancedSampler
from model_export.data.synthetic import drawn_strips
from model_export.training.checkpoint import load_checkpoint
from model_export.training.process_group import join_process_group
from tests.support.serving import ROOT

COMMAND = [
    *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    *("-m", "model_export", "train"),
]
OPTIONS = [
    *("--drawn", "6", "--epochs", "2", "--samples-per-epoch", "8", "--batch-size", "4", "--workers", "0"),
    *("--crop-width", "64", "--precision", "fp32", "--validate-every", "1", "--encoder-depth", "4"),
    *("--decoder-channels", "8", "4", "--threads", "1", "--device", "cpu", "--patience", "5"),
    *("--input-reduction", "2"),
]


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *COMMAND, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Its layer4 is not part of the network at depth 4: what is not used must not be waited for."""
    done = torchrun("--out", str(tmp_path), *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2:") == 1  # the first one speaks for both
    state = load_checkpoint(tmp_path / "last.pt")
    assert state.epoch == 2
    assert all(torch.isfinite(tensor.float()).all() for tensor in state.averaged.values())
    assert state.scheduler["last_epoch"] == 4  # 2 epochs of 8 samples, 4 a batch, 2 of them here
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_two_processes_learn_what_one_learns_from_the_same_batches(tmp_path: Path) -> None:
    """With whole strips, no augmentation and a loss that is a mean over pixels, nothing else may differ."""
    script = str(ROOT / "tests" / "model" / "repeatable_train.py")
    options = [
        *("train", "--drawn", "6", "--epochs", "3", "--samples-per-epoch", "8", "--batch-size", "4"),
        *("--workers", "0", "--crop-width", "1600", "--precision", "fp32", "--encoder-depth", "3"),
        *("--decoder-channels", "8", "--threads", "1", "--device", "cpu", "--mask-loss", "bce"),
        *("--validate-every", "3", "--dropout", "0", "--input-reduction", "2", "--augment"),
    ]
    launcher = [*("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")]
    for name, command in (("two", [*launcher, script]), ("one", [script])):
        done = subprocess.run(
            [sys.executable, *command, *options, "--out", str(tmp_path / name)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    columns = ("loss", "mask_loss", "class_loss")
    rows = []
    for name in ("one", "two"):
        with (tmp_path / name / "metrics.csv").open(newline="") as file:
            rows.append([[float(row[column]) for column in columns] for row in csv.DictReader(file)])
    one, two = rows
    assert len(one) == 3
    assert one[2][0] < one[0][0]  # something was learned
    assert two == [pytest.approx(row, rel=5e-5) for row in one]


def test_processes_share_the_samples_of_an_epoch() -> None:
    strips = drawn_strips(9, seed=0)
    whole = list(BalancedSampler(strips, 7, [(range(9), 1.0)], seed=3))
    parts = [list(BalancedSampler(strips, 7, [(range(9), 1.0)], 3, (rank, 2))) for rank in range(2)]
    assert [len(part) for part in parts] == [4, 4]  # one of them would wait for the other's last batch
    assert [pick for pair in zip(*parts, strict=True) for pick in pair][:7] == whole


def test_a_batch_falls_into_equal_parts(tmp_path: Path) -> None:
    options = ["3" if before == "--batch-size" else one for before, one in pairwise(["", *OPTIONS])]
    done = torchrun("--out", str(tmp_path), *options)
    assert done.returncode != 0
    assert "expected a multiple of 2, got 3" in done.stderr


def test_processes_cannot_share_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(ValueError, match="2 processes cannot share --device cuda:1"),
        join_process_group("cuda:1"),
    ):
        pass


def test_one_process_is_its_own_mean() -> None:
    with join_process_group("auto") as group:
        assert group.is_main
        assert group.mean(torch.tensor([1.0, 3.0])).tolist() == [1.0, 3.0]
        assert group.broadcast(0.5) == 0.5
