"""16-bit strips in a data set: the rule of the service's ``bits`` in every command that opens images."""

import csv
import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.command_line.commands import COMMANDS
from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.submit import SubmitConfig, submit
from model_export.labels.import_labels import ImportConfig, import_labels
from model_export.report import pictures
from model_export.report.held_out import evaluate_held_out
from model_export.training.sources import list_strips
from service.geometry import Strip
from tests.support.quick_training import TINY
from tests.support.tiny_model import block_rle, block_strip

BLOCK = (100, 20, 5, 30)
STRIP = block_strip(c3=BLOCK)
NAMES = ("a.png", "b.tif")
REFUSAL = r"values up to 2409; the parameter bits .*--bits of a command"


def twelve_bits(strip: Strip) -> Image.Image:
    """Return a strip as a camera of 12 bits stores it."""
    return Image.fromarray(np.rint(strip * (4095 / 255)).astype(np.uint16))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    images = tmp_path / "data" / "train_images"
    images.mkdir(parents=True)
    for name in NAMES:
        twelve_bits(STRIP).save(images / name)
    rows = "".join(f"{name},3,{block_rle(*BLOCK)}\n" for name in NAMES)
    (images.parent / "train.csv").write_text(f"ImageId,ClassId,EncodedPixels\n{rows}")
    return images.parent


def test_a_data_set_is_refused_or_scaled(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=REFUSAL) as refused:
        read_kaggle(data)
    assert all(name in str(refused.value) for name in NAMES)
    with pytest.raises(DataError, match="expected values of 10 bits, at most 1023, got 2409"):
        read_kaggle(data, bits="10")
    for strip in read_kaggle(data, bits="12"):
        np.testing.assert_array_equal(strip.load()[0], STRIP)
    Image.fromarray(STRIP).save(data / "train_images" / "c.png")
    assert [strip.name for strip in read_kaggle(data, skip_bad=True)] == ["c.png"]
    assert "left out 2 images" in capsys.readouterr().out


def test_training_and_its_export_read_the_bits_of_the_configuration(data: Path) -> None:
    with pytest.raises(DataError, match=REFUSAL):
        list_strips(replace(TINY, data=data, drawn=0))
    strips = list_strips(replace(TINY, data=data, drawn=0, bits="12"))
    assert [strip.load()[0][20, 100] for strip in strips] == [150, 150]


def test_evaluate(data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=REFUSAL):
        evaluate(EvaluateConfig(data=data, model=tiny_model, strips="all"))
    evaluate(EvaluateConfig(data=data, model=tiny_model, strips="all", bits="12", profile="inspection"))
    (scores,) = [line for line in capsys.readouterr().out.splitlines() if "kind 3" in line]
    assert "1.000" in scores


def test_report_and_its_pictures(data: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match=REFUSAL):
        evaluate_held_out(tiny_model, "inspection", data=data, drawn=0, bits=None, skip_bad=False)
    results = evaluate_held_out(tiny_model, "inspection", data=data, drawn=0, bits="12", skip_bad=False)
    assert results.dice[:, 2].tolist() == [1, 1]
    dark, light = (pictures.labelled_picture(strip, results.metadata.classes) for strip in results.strips)
    Image.fromarray(STRIP).save(data / "train_images" / "a.png")
    eight = pictures.labelled_picture(read_kaggle(data, bits="12")[0], results.metadata.classes)
    assert dark == light == eight


def test_submit(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    images, out = data / "train_images", tmp_path / "submission.csv"
    with pytest.raises(DataError, match=REFUSAL):
        submit(SubmitConfig(images=images, out=out, model=tiny_model))
    assert not out.exists()
    submit(SubmitConfig(images=images, out=out, model=tiny_model, bits="12"))
    with out.open() as file:
        codes = {row["EncodedPixels"] for row in csv.DictReader(file) if row["ClassId"] == "3"}
    assert codes == {block_rle(*BLOCK)}


def test_import_labels(data: Path, tmp_path: Path) -> None:
    labels, out = tmp_path / "export.json", tmp_path / "imported"
    tasks = [{"data": {"file": name}, "annotations": [{"result": []}]} for name in NAMES]
    labels.write_text(json.dumps(tasks))
    images = data / "train_images"
    with pytest.raises(DataError, match=REFUSAL):
        import_labels(ImportConfig(labels, images, out))
    assert not out.exists()
    import_labels(ImportConfig(labels, images, out, bits="12"))
    assert len(read_kaggle(out, bits="12")) == 2
    (images / "b.tif").write_bytes((images / "a.png").read_bytes()[:-200])
    with pytest.raises(DataError, match=r"b\.tif: the PNG cannot be decoded"):
        import_labels(ImportConfig(labels, images, out, bits="12"))


def test_every_command_that_reads_images_has_the_option() -> None:
    fields = {
        name: {field.name for field in dataclasses.fields(config)} for name, (config, _) in COMMANDS.items()
    }
    readers = {name for name, own in fields.items() if own & {"data", "images", "unlabelled"}}
    of_the_training = {"compare", "export"}
    assert readers >= {"train", "evaluate", "import-labels", *of_the_training}
    assert {name for name in readers if "bits" not in fields[name]} == of_the_training
