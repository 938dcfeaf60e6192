"""Which strips to label next."""

import csv
import json
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from PIL import Image

from model_export.data.kaggle import read_kaggle
from model_export.data.split import streak_profile
from model_export.data.synthetic import DrawnStrip
from model_export.errors import DataError
from model_export.evaluation.disagreement import disagreement
from model_export.evaluation.suggest import Candidate, SuggestConfig, rank, suggest
from model_export.labels.import_labels import ImportConfig, import_labels
from service.model.session import Probabilities
from tests.support.tiny_model import block_strip, write_tiny_model


def answer(*classes: float, columns: slice = slice(0, 0)) -> Probabilities:
    masks = np.zeros((4, 1600, 256), dtype=np.uint8)
    masks[0, columns] = 255
    return Probabilities(np.array(classes, dtype=np.float32), masks)


def test_sure_models_that_contradict_each_other_disagree() -> None:
    unsure = [answer(0.5, 0, 0, 0)] * 2
    contradicting = [answer(0.99, 0, 0, 0), answer(0.01, 0, 0, 0)]
    assert disagreement(unsure) == pytest.approx(0, abs=1e-6)
    assert disagreement(contradicting) > 0.9


def test_masks_in_other_places_disagree_where_the_class_is_likely() -> None:
    def apart(probability: float) -> float:
        places = (slice(0, 20), slice(10, 30))
        return disagreement([answer(probability, 0, 0, 0, columns=columns) for columns in places])

    assert apart(0.9) == pytest.approx(0.9 * 2 / 3, abs=1e-3)
    assert apart(0.1) == pytest.approx(0.1 * 2 / 3, abs=1e-3)


def candidate(disagreement: float, novelty: float = 0.0) -> Candidate:
    return Candidate(Path(), disagreement, novelty, [])


def test_one_strip_of_a_coil_comes_before_its_twins() -> None:
    first, second = (streak_profile(DrawnStrip(1, number).load()[0]) for number in (0, 5))
    strips = [candidate(0.9), candidate(0.8), candidate(0.5)]
    assert rank(strips, np.stack([first, first, second]), 9) == [0, 2, 1]
    assert rank([candidate(0.5, 1), candidate(0.5, 3)], np.stack([first, second]), 1) == [1]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The tiny model with folds that contradict each other about grey values 50 and 200."""
    path = write_tiny_model(tmp_path / "m" / "1" / "model.onnx")
    write_tiny_model(path.parent / "folds" / "1.onnx")
    write_tiny_model(path.parent / "folds" / "2.onnx", values=(200, 100, 150, 50))
    return path


def test_suggestions_have_masks_to_correct(model: Path, tmp_path: Path) -> None:
    images = tmp_path / "new"
    images.mkdir()
    for name, strip in (
        ("agreed.png", block_strip(c2=(10, 10, 30, 30))),
        ("contradicted.png", block_strip(c1=(100, 10, 30, 30))),
        ("clean.png", block_strip()),
    ):
        Image.fromarray(strip).save(images / name)
    table = suggest(SuggestConfig(images, model=model, out=tmp_path / "out", count=2))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert rows[0]["file"] == "contradicted.png"
    assert float(rows[0]["disagreement"]) > 1 > float(rows[1]["disagreement"])
    assert rows[0]["reported"] == "kind 1"
    tasks = json.loads((tmp_path / "out" / "label_studio.json").read_text())
    assert [task["data"]["file"] for task in tasks] == [row["file"] for row in rows]
    for task in tasks:  # as a person accepts them
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks))
    names = tuple(f"kind {number}" for number in (1, 2, 3, 4))
    import_labels(ImportConfig(export, images, tmp_path / "data", names))
    labels = {strip.name: strip.rles for strip in read_kaggle(tmp_path / "data")}
    assert labels["contradicted.png"][0].startswith(f"{100 * 256 + 10 + 1} 30 ")
    assert 'value="kind 1"' in (tmp_path / "out" / "label_studio.xml").read_text()


def test_without_new_strips_or_folds_there_is_nothing_to_suggest(model: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="holds no strip that the model has not seen"):
        suggest(SuggestConfig(empty, model=model, out=tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        suggest(SuggestConfig(tmp_path / "none", model=model, out=tmp_path))
    with pytest.raises(DataError, match=r"expected a profile .*, got 'best'"):
        suggest(SuggestConfig(empty, model=model, out=tmp_path, profile="best"))
    alone = tmp_path / "alone" / "model.onnx"
    alone.parent.mkdir()
    for suffix in ("", ".sha256"):
        copyfile(f"{model}{suffix}", f"{alone}{suffix}")
    with pytest.raises(DataError, match="holds no fold models"):
        suggest(SuggestConfig(empty, model=alone, out=tmp_path))
