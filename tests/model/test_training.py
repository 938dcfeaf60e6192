"""Train, resume, export, evaluate and submit, small and real, on drawn strips."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.data.synthetic import DrawnStrip
from model_export.data.tile import Tile
from model_export.errors import DataError, OptionError, ParityError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.submit import SubmitConfig, submit
from model_export.evaluation.torch_session import TorchSession
from model_export.network.steel_network import ServedNetwork
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.parity import compare_with_torch
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.config import TrainConfig
from model_export.training.train import train
from service.errors import ModelFileError
from service.masks import rle
from service.model.loading import prove
from service.model.session import OrtSession
from tests.support.arrays import save_arrays
from tests.support.quick_training import QUICK
from tests.support.serving import ROOT

IDS = (1, 2, 3, 4)

OPTIONS = [
    *("--drawn", "10", "--epochs", "2", "--samples-per-epoch", "8", "--batch-size", "4", "--workers", "0"),
    *("--crop-width", "64", "--precision", "fp32", "--validate-every", "2", "--input-reduction", "2"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after two small epochs."""
    return train(replace(QUICK, out=tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint as a model file."""
    out = tmp_path_factory.mktemp("exported")
    return export(
        ExportConfig(
            checkpoint=trained,
            out=out,
            name="tiny-unet",
            parity_strips=3,
            precision="fp32",
            gate=False,
            gpu=False,
        )
    )


def served(checkpoint: Path, exported: Path) -> ServedNetwork:
    """The network in torch that a model file was exported from."""
    temperature = OrtSession(exported).metadata.calibration.temperature
    return ServedNetwork(restore_network(load_checkpoint(checkpoint)), temperature).eval()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "waiting_share")}
            for row in csv.DictReader(file)
        ]


def test_a_checkpoint_holds_its_configuration_and_its_split(trained: Path) -> None:
    state = load_checkpoint(trained)
    assert state.config == replace(QUICK, out=trained.parent)
    assert (state.epoch, len(state.split.train), len(state.split.validation)) == (2, 10, 20)
    assert (trained.parent / "last.pt").is_file()
    assert [row["epoch"] for row in rows(trained.parent)] == ["1", "2"]
    assert list((trained.parent / "tensorboard").iterdir())


def test_a_killed_training_goes_on_as_if_nothing_had_happened(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "model_export", "train", "--out", str(out), *OPTIONS],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "last.pt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = train(TrainConfig(out=out, resume=True))
    unbroken, again = load_checkpoint(trained), load_checkpoint(resumed)
    assert again.epoch == 2
    for name, tensor in unbroken.averaged.items():
        torch.testing.assert_close(again.averaged[name], tensor, rtol=0, atol=0, msg=name)
    assert rows(out) == rows(trained.parent)


def test_resuming_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no checkpoint"):
        train(TrainConfig(out=tmp_path, resume=True))


def test_real_and_drawn_strips_can_be_mixed(tmp_path: Path) -> None:
    images = tmp_path / "data" / "train_images"
    images.mkdir(parents=True)
    lines = ["ImageId,ClassId,EncodedPixels"]
    for number in range(12):
        strip, masks = DrawnStrip(seed=77, number=number).load()
        Image.fromarray(strip).save(images / f"{number}.png")
        lines += [f"{number}.png,{k + 1},{rle.encode(masks[k].T)}" for k in range(4) if masks[k].any()]
    (tmp_path / "data" / "train.csv").write_text("\n".join(lines))
    weights = tmp_path / "conv1.npz"
    save_arrays(
        weights,
        {"conv1.weight": np.ones((64, 3, 7, 7), np.float32), "conv1.bias": np.zeros(64, np.float32)},
    )
    config = replace(
        QUICK,
        data=tmp_path / "data",
        out=tmp_path / "run",
        epochs=1,
        folds=4,
        encoder_weights=str(weights),
        drawn_share=0.2,
    )
    best = train(config)
    state = load_checkpoint(best)
    names = [*state.split.train, *state.split.validation, *state.split.test]
    assert sorted(names) == sorted(f"{number}.png" for number in range(12))
    path = export(ExportConfig(checkpoint=best, out=tmp_path / "models", parity_strips=2, precision="fp32"))
    metadata = OrtSession(path).metadata
    assert metadata.split.model_copy(update={"pixels": None, "ancestors": ()}) == state.split
    assert metadata.split.pixels is not None
    assert len(metadata.split.pixels) == 12
    assert "of data, and 10 drawn strips in 20% of the samples" in metadata.provenance.training_data
    assert str(tmp_path) not in metadata.model_dump_json()
    with pytest.raises(DataError, match="there is no checkpoint at"):
        export(ExportConfig(checkpoint=tmp_path / "none.pt"))


def test_the_file_says_everything_of_itself_and_proves_it(exported: Path) -> None:
    session = OrtSession(exported, max_batch_size=2)
    prove(session)
    metadata = session.metadata
    assert exported.parts[-3:] == ("tiny-unet", "1", "model.onnx")
    assert (exported.parents[1] / "config.pbtxt").read_text().startswith('name: "tiny-unet"\n')
    assert [profile.name for profile in metadata.profiles] == ["inspection", "kaggle"]
    assert all(len(profile.scores) == 4 for profile in metadata.profiles)
    assert metadata.parity.pixel_agreement >= 0.999
    assert metadata.provenance.config["epochs_trained"] == 2
    assert "torch" in metadata.provenance.versions
    card = exported.with_name("README.md").read_text()
    assert "tiny-unet, version 1" in card
    assert "Dice+" in card
    assert "*Located*" in card


def test_the_file_answers_as_torch_does_in_any_batch(trained: Path, exported: Path) -> None:
    network = served(trained, exported)
    strips = [DrawnStrip(9, number).load()[0] for number in range(5)]
    session = OrtSession(exported, max_batch_size=4)
    with torch.inference_mode():
        expected = network(torch.from_numpy(np.stack(strips)))
    for row, answer in enumerate(session.infer(strips)):
        np.testing.assert_allclose(answer.classes, expected[0][row].numpy(), atol=1e-4)
        difference = answer.masks.astype(int) - expected[1][row].numpy().astype(int)
        assert np.abs(difference).max() <= 1


def test_a_file_that_differs_from_torch_is_refused(trained: Path, exported: Path) -> None:
    session = OrtSession(exported)
    network = served(trained, exported)
    strips = [DrawnStrip(9, 1)]
    compare_with_torch(
        TorchSession(network), session, strips, Tile(256, 1600), session.metadata.profiles[0], IDS
    ).check()
    with torch.no_grad():
        for parameter in network.network.segmentation_head.parameters():
            parameter.add_(0.5)
    comparison = compare_with_torch(
        TorchSession(network), session, strips, Tile(256, 1600), session.metadata.profiles[0], IDS
    )
    with pytest.raises(ParityError, match=r"differs from torch on 1 strips.*Most different: drawn-9-000001"):
        comparison.check()


def test_drawn_strips_on_disk_are_read_back(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path, count=6, seed=3))
    strips = read_kaggle(tmp_path)
    assert [strip.classes for strip in strips] == [DrawnStrip(3, number).classes for number in range(6)]
    for strip, number in zip(strips, range(6), strict=True):
        for ours, theirs in zip(strip.load(), DrawnStrip(3, number).load(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_version_that_exists_is_not_overwritten_by_accident(trained: Path, exported: Path) -> None:
    out = exported.parents[2]
    with pytest.raises(DataError, match="exists: choose another --name or --version"):
        export(ExportConfig(checkpoint=trained, out=out, name="tiny-unet"))


def test_a_training_is_not_overwritten_by_accident(trained: Path) -> None:
    with pytest.raises(DataError, match="holds a training: --resume continues it"):
        train(replace(QUICK, out=trained.parent))


def test_evaluate_prints_the_three_scores(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(EvaluateConfig(model=exported, drawn=5))
    text = capsys.readouterr().out
    assert "5 drawn strips, never trained on" in text
    assert text.count("if empty") == 4
    assert "profile  inspection" in text
    assert "profile  kaggle" in text


def test_evaluate_leaves_out_what_the_model_has_seen(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it has seen is told by the pixels: another strip of the same name is new."""
    seen = OrtSession(exported).metadata.split.train[0]
    images = tmp_path / "train_images"
    images.mkdir()
    Image.fromarray(DrawnStrip(0, 0).load()[0]).save(images / "copy.png")
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n")
    with pytest.raises(DataError, match=r"holds no strip to score: 0 of the 1 in"):
        evaluate(EvaluateConfig(model=exported, data=tmp_path))
    Image.fromarray(DrawnStrip(77, 1).load()[0]).save(images / seen)
    evaluate(EvaluateConfig(model=exported, data=tmp_path, profile="kaggle"))
    text = capsys.readouterr().out
    assert "1 of the 2 in" in text
    assert "profile  inspection" not in text
    evaluate(EvaluateConfig(model=exported, data=tmp_path, strips="all"))
    assert "all 2 of" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"no strip to score: the 20 test strips of the model's split, 20 of"):
        evaluate(EvaluateConfig(model=exported, data=tmp_path, strips="test"))


def test_evaluate_wants_strips_and_a_profile_that_exists(exported: Path) -> None:
    with pytest.raises(OptionError, match="--data FOLDER or --drawn COUNT"):
        evaluate(EvaluateConfig(model=exported))
    with pytest.raises(DataError, match=r"expected a profile .* \(inspection, kaggle\), got 'best'"):
        evaluate(EvaluateConfig(model=exported, drawn=1, profile="best"))


@pytest.mark.parametrize("old_form", [False, True])
def test_a_submission_has_four_rows_per_image(tiny_model: Path, tmp_path: Path, old_form: bool) -> None:
    strip = np.zeros((256, 1600), dtype=np.uint8)
    strip[:, 7] = 100  # class 2
    (tmp_path / "images").mkdir()
    Image.fromarray(strip).save(tmp_path / "images" / "b.png")
    Image.fromarray(strip * 0).save(tmp_path / "images" / "a.png")
    out = tmp_path / "out" / "submission.csv"
    submit(SubmitConfig(images=tmp_path / "images", out=out, model=tiny_model, old_form=old_form))
    with out.open(newline="") as file:
        found = list(csv.reader(file))
    if old_form:
        assert found[0] == ["ImageId_ClassId", "EncodedPixels"]
        assert found[6] == ["b.png_2", f"{7 * 256 + 1} 256"]
    else:
        assert found[0] == ["ImageId", "EncodedPixels", "ClassId"]
        assert found[6] == ["b.png", f"{7 * 256 + 1} 256", "2"]
    assert len(found) == 9


def test_a_submission_that_cannot_be_made_says_why(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        submit(SubmitConfig(images=tmp_path / "none", model=tiny_model))
    with pytest.raises(DataError, match="holds no image"):
        submit(SubmitConfig(images=tmp_path, model=tiny_model))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        submit(SubmitConfig(images=tmp_path, model=tiny_model, out=tmp_path / "s.csv"))
    assert not (tmp_path / "s.csv").exists()
    with pytest.raises(DataError, match="no profile 'x'"):
        submit(SubmitConfig(images=tmp_path, model=tiny_model, profile="x"))
    with pytest.raises(ModelFileError):
        submit(SubmitConfig(images=tmp_path, model=tmp_path / "none"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "/nowhere"], "error: /nowhere is not in Kaggle's layout"),
        (["evaluate", "--drawn", "1", "--model", "/nowhere"], "error: there is no model at /nowhere"),
    ],
)
def test_the_command_line_ends_with_a_message(arguments: list[str], message: str, tmp_path: Path) -> None:
    if arguments[0] == "train":
        arguments = [*arguments, "--out", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "model_export", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
