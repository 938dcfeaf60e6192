"""``tune``: thresholds of a model file chosen anew, small and real."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from model_export.data.draw import DrawConfig, draw
from model_export.data.pixels import split_ids
from model_export.errors import DataError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.tune import InspectionRules
from model_export.network.steel_network import NetworkConfig
from model_export.onnx_export.card import model_card
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.retune import TuneConfig, retune
from model_export.training.train import train
from service.model.loading import open_session, prove
from service.model.session import OrtSession
from tests.support.quick_training import QUICK

NETWORK = NetworkConfig(input_reduction=4, encoder_depth=4, decoder_channels=(16, 8))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    checkpoint = train(replace(QUICK, network=NETWORK, out=out / "run", epochs=1, validate_every=1))
    return export(ExportConfig(checkpoint=checkpoint, out=out, name="plant", version=3, parity_strips=4))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "mill"
    draw(DrawConfig(out=folder, count=15, seed=3))
    return folder


@pytest.fixture(scope="module")
def tuned(model: Path, data: Path) -> Path:
    before = model.read_bytes()
    rules = InspectionRules(recall_floor=(0.5,) * 4, least_probability=(0.2, 0.3, 0.2, 0.2))
    saved = data.parent / "night.profile.json"
    kinds = [kind.model_dump() for kind in OrtSession(model).metadata.classes]
    point = {"class_threshold": [0.4] * 4, "threshold": [0.3] * 4, "min_area": [50] * 4}
    saved.write_text(json.dumps({"name": "night", "based_on": "kaggle", "classes": kinds, **point}))
    config = TuneConfig(data=data, model=model, out=model.parents[2], profile=saved, rules=rules, parts=3)
    path = retune(config)
    assert model.read_bytes() == before
    return path


def test_a_new_version_stands_beside_the_old_one(model: Path, tuned: Path) -> None:
    assert tuned.parts[-3:] == ("plant", "4", "model.onnx")
    old, new = OrtSession(model).metadata, open_session(tuned, device="cpu").metadata
    assert (new.version, new.name, new.precision) == ("4", old.name, "int8")
    assert new.profiles[0].class_threshold[1] >= 0.3
    assert min(new.profiles[0].class_threshold) >= 0.2
    assert new.gate == tuple(map(min, *(profile.class_threshold for profile in new.profiles)))
    assert new.review_bands is not None
    assert new.review_bands != old.review_bands
    assert new.health != old.health
    assert new.provenance.config["recall_floor"] == [0.5] * 4
    assert "15 strips of mill in 3 parts" in new.profiles[0].measured_on
    night = new.profile("night")
    assert night is not None
    assert (night.threshold, night.min_area, night.tuned_on) == ((0.3,) * 4, (50,) * 4, "nothing")
    assert len(night.scores) == 4
    assert new.profiles[0].scores[0].strips_with + new.profiles[0].scores[0].strips_without == 15
    card = tuned.with_name("README.md").read_text()
    assert "chose thresholds, review bands and limits of image health anew" in card
    assert card == model_card(new)
    gpu = OrtSession(tuned.with_name("gpu.onnx"))
    prove(gpu)
    assert (gpu.metadata.precision, gpu.metadata.gate) == ("fp16", None)
    assert gpu.metadata.profiles == new.profiles


def test_weights_stay_and_strips_that_tuned_count_as_seen(
    model: Path, data: Path, tuned: Path, tmp_path: Path
) -> None:
    old, new = onnx.load(model).graph, onnx.load(tuned).graph
    inside = {"gate_thresholds", "recalibration"}
    for one, other in zip(old.initializer, new.initializer, strict=False):
        assert one == other or one.name in inside
    metadata = OrtSession(tuned).metadata
    assert len(split_ids(metadata.split).validation) == 20 + 15
    assert len(split_ids(metadata.split).test) == 20
    with pytest.raises(DataError, match="holds no strip to score: 0 of the 15"):
        evaluate(EvaluateConfig(model=tuned, data=data))
    with pytest.raises(DataError, match=r"expected 10 strips .* for 5 parts .*, got 0"):
        retune(TuneConfig(data=data, model=tuned, out=tmp_path))


def test_a_version_that_exists_stays(model: Path, data: Path, tuned: Path) -> None:
    with pytest.raises(DataError, match="exists: choose another --version"):
        retune(TuneConfig(data=data, model=model, out=tuned.parents[2], version=4))


def test_answers_are_those_of_the_old_version_at_another_temperature(
    model: Path, data: Path, tuned: Path
) -> None:
    from model_export.data.kaggle import read_kaggle

    strip = read_kaggle(data)[1].load()[0]
    old, new = OrtSession(model), OrtSession(tuned)
    ratio = new.metadata.calibration.temperature / old.metadata.calibration.temperature
    before, after = (session.infer([strip])[0].classes.astype(np.float64) for session in (old, new))
    logits = [np.log(classes / (1 - classes)) for classes in (before, after)]
    np.testing.assert_allclose(logits[1] * ratio, logits[0], rtol=1e-3, atol=1e-3)
