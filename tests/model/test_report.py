"""The report: what it chooses to show, what it counts, and what it refuses."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError
from model_export.evaluation.calibrate import expected_calibration_error
from model_export.evaluation.overlaps import measure_overlaps_at
from model_export.report import charts, pictures
from model_export.report.command import ReportConfig, report
from model_export.report.held_out import HeldOutResults, evaluate_held_out
from service.model.session import OrtSession


@pytest.fixture(scope="module")
def results(tiny_model: Path) -> HeldOutResults:
    """Drawn strips with the answers of the tiny model."""
    return evaluate_held_out(tiny_model, "inspection", data=None, drawn=20, bits=None, skip_bad=False)


def test_what_is_counted_is_what_serves(results: HeldOutResults, tiny_session: OrtSession) -> None:
    (expected,) = measure_overlaps_at(tiny_session, results.strips, results.points)
    assert results.overlaps == expected
    assert any(one.predicted for strip in expected for one in strip)


def test_the_best_and_the_worst_are_shown(results: HeldOutResults) -> None:
    for index in range(4):
        examples = list(pictures.single_class_examples(results, index))
        assert examples
        assert len({example.row for example in examples}) == len(examples)
        rows = [row for row, strip in enumerate(results.strips) if strip.classes == {index + 1}]
        dice = results.dice[rows, index]
        shown = [results.dice[example.row, index] for example in examples]
        assert shown[0] == dice.max()
        assert shown[-1] == dice.min()
        assert {example.row for example in examples} <= set(rows)
    assert all(
        len(results.strips[example.row].classes) > 1 for example in pictures.multi_class_examples(results)
    )
    quiet, *_, loud = pictures.clean_examples(results)
    assert not results.strips[quiet.row].classes
    highest = results.curves.probability.max(axis=1)
    assert highest[quiet.row] <= highest[loud.row]


def test_a_strip_is_run_again_at_the_thresholds_of_its_result(results: HeldOutResults) -> None:
    row = next(row for row, strip in enumerate(results.overlaps) if any(one.predicted for one in strip))
    result = results.rerun(row)
    assert [one.area for one in result.predicted] == [one.predicted for one in results.overlaps[row]]
    with Image.open(io.BytesIO(pictures.compared_picture(result, ["a", "b", "c", "d"]))) as image:
        assert image.width == 1200
        assert image.height == 2 * round(284 * 1200 / 1600)


@pytest.mark.parametrize(
    ("probability", "truth", "expected"),
    [
        ([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], 0.0),
        ([0.95, 0.95, 0.15, 0.15], [1, 0, 0, 0], (0.45 + 0.15) / 2),
        ([1.0, 0.0], [1, 0], 0.0),
    ],
)
def test_calibration_error(probability: list[float], truth: list[int], expected: float) -> None:
    error = expected_calibration_error(np.array(probability), np.array(truth, dtype=np.bool_))
    assert error == pytest.approx(expected)


def test_places_are_shares_of_cells() -> None:
    masks = np.zeros((4, 256, 1600), dtype=np.bool_)
    masks[2, :8, 32:48] = True
    places = charts.cell_shares(masks)
    assert places.shape == (4, 16, 100)
    assert places[2, 0, 2] == 0.5
    assert places.sum() == 0.5


def test_a_report_on_a_data_set_with_its_training(tiny_model: Path, tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=10, seed=3))
    (tmp_path / "run").mkdir()
    log = tmp_path / "run" / "metrics.csv"
    log.write_text("epoch,loss,validation_loss,dice_positive\n1,2.0,,\n2,1.5,1.9,0.4\n")
    config = ReportConfig(
        data=tmp_path / "data", model=tiny_model, out=tmp_path / "out", training=tmp_path / "run"
    )
    text = report(config).read_text()
    assert "10 strips that neither trained nor tuned the model" in text
    assert "Loss and score over the epochs." in text
    assert text.count("data:image/png;base64,") == len(list((tmp_path / "out").glob("*.png")))
    for problem, changed in {
        "holds no metrics.csv": replace(config, training=tmp_path / "data"),
        "got 'best'": replace(config, profile="best"),
        "name strips to report on": replace(config, data=None),
    }.items():
        with pytest.raises(DataError, match=problem):
            report(changed)
    log.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is not a metrics\.csv of a training"):
        report(config)


def test_classes_that_are_not_there_leave_their_charts_empty(tiny_model: Path, tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=10, seed=3))
    labels = (tmp_path / "data" / "train.csv").read_text().splitlines()
    for only in (labels[:1], [line for line in labels if ",1," in line or line == labels[0]]):
        (tmp_path / "data" / "train.csv").write_text("\n".join(only))
        for path in (tmp_path / "data" / "train_images").iterdir():
            if len(only) > 1 and not any(path.name in line for line in only):
                path.unlink()
        out = tmp_path / f"out-{len(only)}"
        text = report(ReportConfig(data=tmp_path / "data", model=tiny_model, out=out)).read_text()
        assert "There are no such strips here." in text
    assert all(strip.classes == {1} for strip in read_kaggle(tmp_path / "data"))
