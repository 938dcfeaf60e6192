"""Commands on a disk that is full from their n-th change on, for each n, and again with room."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.training.checkpoint import load_checkpoint
from tests.support.images import png
from tests.support.serving import ROOT, service_environment
from tests.support.tiny_model import block_rle, block_strip

pytestmark = pytest.mark.slow

PREDICT = ("steel_cli.predict", "steel_cli", "predict")
NAMES = ["0.png", "1.png"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        pytest.skip("no gcc for the layer that fails (Debian: apt-get install gcc)")
    path = tmp_path_factory.mktemp("library") / "full_disk.so"
    source = Path(__file__).with_name("full_disk.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"], check=True)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of strips, beside ``out``."""
    strips = tmp_path / "strips"
    strips.mkdir()
    (tmp_path / "out").mkdir()
    for number, name in enumerate(NAMES):
        (strips / name).write_bytes(png(block_strip(c1=(10 + 20 * number, 5, 3, 4))))
    return strips


def runs(library: Path, model: Path, folder: Path, *command: str, every: int = 1) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.every_write", folder.parent / "out", *command],
        cwd=ROOT,
        env=service_environment(model) | {"LD_PRELOAD": str(library), "EVERY": str(every)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for run in found[:-1]:
        text = run["full"][1]
        assert run["full"][0] in (1, 2), text
        assert "Traceback" not in text
        assert "error: " in text
        assert f"{run['out']}" in text.rpartition("error: ")[2]  # which file
        assert "No space left on device" in text.rpartition("error: ")[2]
        assert run["again"][0] == 0, run["again"][1]
    assert found[-1]["full"][0] == 0
    return found


def test_predict_resumes(library: Path, folder: Path, tiny_model: Path) -> None:
    formats = ("pictures", "kaggle", "coco")  # the others are written as these
    command = (*PREDICT, str(folder), "--out", "{out}", "--write", *formats)
    found = runs(library, tiny_model, folder, *command)
    assert len(found) > 15
    whole = Path(found[-1]["out"])
    for run in found:
        out = Path(run["out"])
        lines = [json.loads(line) for line in (out / "predictions.jsonl").read_bytes().splitlines()]
        assert sorted(line["file"] for line in lines) == NAMES
        assert {line["file"]: line["classes"][0]["rle"] for line in lines} == {
            name: block_rle(10 + 20 * number, 5, 3, 4) for number, name in enumerate(NAMES)
        }
        here = {path.relative_to(out) for path in out.rglob("*")}
        assert here == {path.relative_to(whole) for path in whole.rglob("*")}
        for path in here:
            if path.parent.name in ("pictures", "strips") or path.suffix == ".xml":
                assert (out / path).read_bytes() == (whole / path).read_bytes(), path


def test_pictures_of_answers_that_were_there_before_are_completed(
    library: Path, folder: Path, tiny_model: Path
) -> None:
    """A half picture used to count as one."""
    done = folder.parent / "answered"
    command = [sys.executable, "-m", "steel_cli", "predict", str(folder), "--out"]
    subprocess.run([*command, done], cwd=ROOT, env=service_environment(tiny_model), check=True)
    for number in range(1, 12):
        shutil.copytree(done, folder.parent / "out" / f"{number:03}")
    found = runs(library, tiny_model, folder, *PREDICT, str(folder), "--out", "{out}", "--write", "pictures")
    whole = Path(found[-1]["out"])
    assert len(found) > 5
    for run in found:
        for name in NAMES:
            path = Path("pictures") / name
            assert (Path(run["out"]) / path).read_bytes() == (whole / path).read_bytes()


def test_submit_leaves_no_half_table(library: Path, folder: Path, tiny_model: Path) -> None:
    table = "{out}/../submission.csv"  # one for all: the last good one stays
    options = ("--images", str(folder), "--model", str(tiny_model), "--profile", "inspection", "--out", table)
    runs(library, tiny_model, folder, "model_export.__main__", "model_export", "submit", *options)
    with (folder.parent / "out" / "submission.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * len(NAMES)


def test_watch_resumes(library: Path, folder: Path, tiny_model: Path) -> None:
    command = ("steel_cli.watch", "tests.faults.watch_until", str(len(NAMES)), "{out}", str(folder))
    found = runs(library, tiny_model, folder, *command, "--pictures", "--interval", "0.05")
    assert len(found) > 8
    whole = Path(found[-1]["out"])
    for run in found:
        out = Path(run["out"])
        lines = [json.loads(line) for line in (out / "predictions.jsonl").read_bytes().splitlines()]
        assert sorted(line["file"] for line in lines) == NAMES  # each version once
        for name in NAMES:
            assert (out / "pictures" / name).read_bytes() == (whole / "pictures" / name).read_bytes()


def test_a_training_keeps_its_checkpoint_and_resumes(library: Path, folder: Path, tiny_model: Path) -> None:
    """Whatever write fails, the last checkpoint is whole, and the same command ends with the same weights."""
    data = folder.parent / "data"
    draw(DrawConfig(out=data, count=3))
    recipe = (
        *(
            "--epochs",
            "2",
            "--samples-per-epoch",
            "2",
            "--batch-size",
            "2",
            "--crop-width",
            "32",
            "--workers",
            "0",
        ),
        *("--input-reduction", "8", "--encoder-depth", "3", "--decoder-channels", "4", "--precision", "fp32"),
        *("--threads", "1", "--drawn", "0", "--folds", "2"),
    )
    command = ("cross-validate", "--data", str(data), "--only", "0", "--out", "{out}", *recipe)
    module = "model_export.command_line.commands"
    found = runs(library, tiny_model, folder, module, "model_export", *command, every=6)
    assert len(found) > 8
    whole = load_checkpoint(Path(found[-1]["out"]) / "all" / "best.pt")
    for run in found:
        here = Path(run["out"]) / "all"
        assert not list(here.rglob("*.unfinished"))
        again = load_checkpoint(here / "best.pt")
        for name, tensor in whole.averaged.items():
            torch.testing.assert_close(again.averaged[name], tensor, rtol=0, atol=0, msg=name)
        with (here / "metrics.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
