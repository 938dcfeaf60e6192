"""Mills of other classes and sizes: trained, exported, evaluated and answered by the service."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export.data.drawn_mill import MillStrip
from model_export.data.kaggle import KaggleStrip, read_kaggle, write_kaggle
from model_export.data.tile import Tile
from model_export.errors import DataError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.frames import predict_image
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.retune import TuneConfig, retune
from model_export.report.command import ReportConfig, report
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from model_export.training.train import train
from service.app import create_app
from service.masks import rle
from service.model.metadata import DefectClass
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.quick_training import TINY
from tests.support.serving import running_app

CLASSES = tuple(
    DefectClass(id=number, name=name) for number, name in ((3, "oil spot"), (10, "weld seam"), (42, "Loch"))
)
MILL = replace(TINY, drawn=0, epochs=2, samples_per_epoch=16, batch_size=4, crop_width=96, folds=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of three classes whose ids are not consecutive, one of them rare, in sets of the mill's own."""
    folder = tmp_path_factory.mktemp("mill")
    strips = [MillStrip(5, number, (120, 260), 3, rare=1) for number in range(24)]
    write_kaggle(strips, folder, "drawing", CLASSES)
    with (folder / "split.csv").open("w", newline="") as file:
        sets = [("test" if n % 3 == 2 else "validation" if n % 3 else "train") for n in range(24)]
        rows = [(strip.name, own) for strip, own in zip(strips, sets, strict=True)]
        csv.writer(file).writerows([("ImageId", "Set"), *rows])
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of these frames in tiles, the frames being larger."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint = train(replace(MILL, data=data, out=folder / "run", tile=(64, 96)))
    # Without a gate, so that thresholds may be as low as an untrained model needs them.
    return export(ExportConfig(checkpoint, out=folder / "models", name="mill", parity_strips=3, gate=False))


def test_the_model_file_carries_classes_and_tile(model: Path) -> None:
    metadata = OrtSession(model).metadata
    assert metadata.classes == CLASSES
    assert (metadata.height, metadata.width, metadata.pad) == (64, 96, False)
    assert len(metadata.split.test) == 8
    for profile in metadata.profiles:
        assert [score.class_id for score in profile.scores] == [3, 10, 42]


@pytest.mark.anyio
async def test_the_service_answers_frames_as_evaluation_scores_them(model: Path, data: Path) -> None:
    session = OrtSession(model)
    # At thresholds that leave something of an untrained model's maps.
    query = {"threshold": "0.5,0.5,0.5", "class_threshold": "0,0,0", "min_area": "1,1,1"}
    point = session.metadata.profiles[0].model_copy(
        update={"threshold": (0.5,) * 3, "class_threshold": (0.0,) * 3, "min_area": (1,) * 3}
    )
    masks = 0
    async with running_app(create_app(Settings(), session=session)) as client:
        for strip in read_kaggle(data)[:6]:
            assert isinstance(strip, KaggleStrip)
            file = {"file": (strip.name, strip.path.read_bytes())}
            response = await client.post("/predict", params=query, files=file)
            (image,) = response.json()["images"]
            expected = predict_image(session, strip.load()[0], Tile(64, 96), strip.name).at(
                point, (3, 10, 42)
            )
            assert image["tiles"] == 12
            assert [one["name"] for one in image["classes"]] == ["oil spot", "weld seam", "Loch"]
            for answered, own in zip(image["classes"], expected, strict=True):
                assert (answered["class_id"], answered["area"]) == (own.class_id, own.area)
                assert answered["rle"] == rle.encode(own.mask)
                masks += own.present
    assert masks


def test_evaluate_scores_the_test_set_of_the_split(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(EvaluateConfig(data=data, model=model, strips="test"))
    text = capsys.readouterr().out
    assert "the 8 test strips" in text
    assert "42 Loch" in text
    assert text.count("pooled over all pixels: mIoU") == 2
    with pytest.raises(DataError, match="drawn strips show Severstal's classes"):
        evaluate(EvaluateConfig(model=model, drawn=3))


def test_the_report_has_the_mills_names(model: Path, data: Path, tmp_path: Path) -> None:
    page = report(ReportConfig(data=data, model=model, out=tmp_path)).read_text()
    assert "42 Loch" in page
    assert "Severstal" not in page


def test_tune_keeps_classes_and_tile(model: Path, data: Path, tmp_path: Path) -> None:
    config = TuneConfig(data=data, model=model, out=tmp_path, parts=2)
    tuned = OrtSession(retune(config)).metadata
    assert (tuned.classes, tuned.height, tuned.width, tuned.version) == (CLASSES, 64, 96, "2")
    (data / "classes.json").rename(data / "hidden.json")
    try:
        with pytest.raises(DataError, match=r"has other classes than .*: expected 3 oil spot, 10 weld seam"):
            retune(config)
    finally:
        (data / "hidden.json").rename(data / "classes.json")


def test_one_class_on_images_smaller_than_a_tile_out_of_fold(tmp_path: Path) -> None:
    data = tmp_path / "data"
    strips = [MillStrip(2, number, (50 + 2 * (number % 2), 60), 1) for number in range(8)]
    write_kaggle(strips, data, "drawing", (DefectClass(id=7, name="hole"),))
    quick = replace(MILL, data=data, out=tmp_path / "cv", folds=2, tile=(64, 64), crop_width=64, epochs=1)
    with pytest.raises(DataError, match=r"differ in size \(4 of 60x50, 4 of 60x52\): name the size"):
        train(replace(quick, tile=None, fold=0, out=tmp_path / "untold"))
    cross_validate(CrossValidateConfig(**vars(quick)))
    path = export(ExportConfig(cross_validation=tmp_path / "cv", out=tmp_path / "models", parity_strips=2))
    metadata = OrtSession(path).metadata
    assert (metadata.height, metadata.width, metadata.pad) == (64, 64, True)
    assert metadata.class_ids == (7,)
    evaluate(EvaluateConfig(data=data, model=path, out_of_fold=True))
    image = strips[1].load()[0]
    answer = predict_image(OrtSession(path), image, Tile.of(metadata), "a.png").whole()
    assert answer.masks.shape == (1, 60, 52)
    assert np.isfinite(answer.classes).all()
    assert json.loads((data / "classes.json").read_text()) == [{"id": 7, "name": "hole"}]
