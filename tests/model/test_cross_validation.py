"""Cross-validate, export the folds, score out of fold and compare, small and real, on drawn strips."""

from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle, write_kaggle
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.errors import DataError, OptionError
from model_export.evaluation.compare import CompareConfig, compare
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.out_of_fold import open_fold_sessions, predict_out_of_fold
from model_export.metrics import class_scores
from model_export.network.steel_network import NetworkConfig
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.retune import TuneConfig, retune
from model_export.training.checkpoint import load_checkpoint, save_checkpoint
from model_export.training.config import run_folder
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from service.geometry import Strip
from service.model.loading import prove
from service.model.session import OrtSession
from tests.support.quick_training import QUICK

FOLDS = 2


@dataclass(frozen=True)
class Renamed:
    """A strip under another name."""

    strip: LabelledStrip
    name: str

    @property
    def classes(self) -> frozenset[int]:
        return self.strip.classes

    def load(self) -> tuple[Strip, Masks]:
        return self.strip.load()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn strips in Kaggle's layout."""
    folder = tmp_path_factory.mktemp("data")
    draw(DrawConfig(out=folder, count=10, seed=3))
    return folder


@pytest.fixture(scope="module")
def config(data: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossValidateConfig:
    """A cross-validation that is over soon."""
    quick = replace(
        QUICK,
        data=data,
        out=tmp_path_factory.mktemp("cv"),
        network=NetworkConfig(encoder_depth=4, decoder_channels=(16, 8)),
        frozen=("conv1", "bn1", "layer1"),
        pasted_share=0.3,
        whole_epochs=1,
        samples_per_epoch=4,
        crop_width=256,
        folds=FOLDS,
    )
    return CrossValidateConfig(**vars(quick))


@pytest.fixture(scope="module")
def runs(config: CrossValidateConfig) -> Path:
    """The trainings of all folds."""
    cross_validate(config)
    return config.out


@pytest.fixture(scope="module")
def exported(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their model files."""
    out = tmp_path_factory.mktemp("models")
    return export(ExportConfig(cross_validation=runs, out=out, name="folds", parity_strips=2))


def test_every_strip_is_held_out_once(runs: Path, data: Path) -> None:
    states = [load_checkpoint(run_folder(runs, fold) / "best.pt") for fold in range(FOLDS + 1)]
    whole, *folds = states
    names = sorted(strip.name for strip in read_kaggle(data))
    assert sorted(name for state in folds for name in state.split.test) == names
    for state in folds:
        assert sorted([*state.split.train, *state.split.test]) == names
        assert state.epoch == 2
    assert sorted(whole.split.train) == names
    assert whole.split.test == whole.split.validation == ()


def test_frozen_parts_stay_as_they_were(runs: Path) -> None:
    state = load_checkpoint(run_folder(runs, 1) / "best.pt")
    statistics = state.averaged["encoder.bn1.running_mean"]
    assert statistics.abs().max() == 0
    assert state.averaged["encoder.layer2.0.bn1.running_mean"].abs().max() > 0


def test_started_again_it_goes_on(config: CrossValidateConfig, runs: Path) -> None:
    last = run_folder(runs, 2) / "last.pt"
    before = last.stat().st_mtime_ns
    assert cross_validate(replace(config, only=(2,))) == [last.with_name("best.pt")]
    assert last.stat().st_mtime_ns == before


def test_a_single_fold_cannot_be_tuned(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no validation strips to tune on"):
        export(ExportConfig(checkpoint=run_folder(runs, 1) / "best.pt", out=tmp_path))


def test_an_incomplete_cross_validation_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no checkpoint at"):
        export(ExportConfig(cross_validation=tmp_path, out=tmp_path / "models"))
    for fold in range(FOLDS + 1):
        folder = run_folder(tmp_path, fold)
        folder.mkdir()
        source = run_folder(runs, 1 if fold else 0) / "best.pt"
        (folder / "best.pt").symlink_to(source)
    with pytest.raises(DataError, match="expected every strip in the test of exactly one fold"):
        export(ExportConfig(cross_validation=tmp_path, out=tmp_path / "models"))


def test_folds_with_other_options_are_refused(runs: Path, tmp_path: Path) -> None:
    for fold in range(FOLDS + 1):
        state = load_checkpoint(run_folder(runs, fold) / "best.pt")
        if fold == 2:
            config = replace(state.config, mask_loss="bce", workers=3)
            state = replace(state, config=config, epoch=1)
        save_checkpoint(state, run_folder(tmp_path, fold) / "best.pt")
    with pytest.raises(
        DataError,
        match=r"got fold 2: epochs trained 1 instead of 2; fold 2: mask_loss 'bce' instead of '5\*bce",
    ):
        export(ExportConfig(cross_validation=tmp_path, out=tmp_path / "models"))


def test_the_scores_of_the_model_are_those_out_of_fold(exported: Path, data: Path) -> None:
    """Measured anew by the fold's files, whose thresholds come from the other folds."""
    metadata = OrtSession(exported).metadata
    found = predict_out_of_fold(open_fold_sessions(exported), read_kaggle(data))
    assert len(found.strips) == 10
    for profile in metadata.profiles:
        assert class_scores(found.overlaps[profile.name], found.class_ids) == profile.scores
        assert "10 strips, out of fold: 2 models" in profile.measured_on


def test_the_files_of_the_folds_stand_on_their_own(exported: Path) -> None:
    sessions = open_fold_sessions(exported)
    assert len(sessions) == FOLDS
    for session in sessions:
        prove(session)
        assert session.metadata.precision == "int8"
        assert session.metadata.gate is not None
        assert session.metadata.parity.pixel_agreement >= 0.99
        assert "strips of the other folds" in session.metadata.profiles[0].tuned_on


def test_files_of_folds_in_float_keep_their_weights_in_half(runs: Path, tmp_path: Path) -> None:
    config = ExportConfig(cross_validation=runs, out=tmp_path, parity_strips=2, precision="fp32", gpu=False)
    path = export(config)
    assert OrtSession(path).metadata.precision == "fp32"
    for session in open_fold_sessions(path):
        prove(session)
        assert session.metadata.precision == "fp32, weights kept in fp16"
    sizes = [fold.stat().st_size for fold in path.parent.glob("folds/*.onnx")]
    assert max(sizes) < 0.6 * path.stat().st_size


def test_a_new_export_leaves_nothing_of_the_old_one(
    exported: Path, runs: Path, data: Path, tmp_path: Path
) -> None:
    copytree(exported.parents[2], tmp_path, dirs_exist_ok=True)
    stray = tmp_path / exported.parent.relative_to(exported.parents[2]) / "folds" / "9.onnx"
    stray.write_bytes(b"left over")
    config = ExportConfig(cross_validation=runs, out=tmp_path, name="folds", parity_strips=2)
    softened = export(replace(config, overwrite=True, soft_gate=True))
    assert not stray.exists()
    strip = read_kaggle(data)[1].load()[0]
    plain, soft = (OrtSession(path).infer([strip])[0] for path in (exported, softened))
    np.testing.assert_allclose(soft.classes, plain.classes, atol=1e-5)
    assert np.abs(soft.masks - plain.masks * plain.classes[:, None, None]).max() <= 1.01


def test_the_card_says_that_nothing_is_left_to_measure_the_model_on(exported: Path) -> None:
    card = exported.with_name("README.md").read_text()
    assert "none is left to measure it" in card
    assert "validation strips" not in card


def test_evaluate_prints_the_table_out_of_fold(
    exported: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(EvaluateConfig(model=exported, data=data, out_of_fold=True))
    text = " ".join(capsys.readouterr().out.split())  # the lines wrap where the length of the path says
    assert "10 of the 10 in" in text
    assert text.count("Dice+ from fold to fold") == 2
    assert "at the balance of these strips (20% clean), not the mill's" in text
    assert "calibration: the expected calibration error" in text
    assert "98 % of the 8 defective strips pass" in text


def test_scores_out_of_fold_need_folds_and_strips(exported: Path, data: Path, tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="name them with --data"):
        evaluate(EvaluateConfig(model=exported, out_of_fold=True))
    with pytest.raises(DataError, match="holds no fold models"):
        evaluate(EvaluateConfig(model=tiny_model, data=data, out_of_fold=True))
    sessions = open_fold_sessions(exported)
    with pytest.raises(DataError, match="in the test of more than one fold"):
        predict_out_of_fold([*sessions, sessions[0]], read_kaggle(data))
    cheat = OrtSession(exported.parent / "folds" / "1.onnx")
    split = cheat.metadata.split
    cheat.metadata = cheat.metadata.model_copy(
        update={"split": split.model_copy(update={"validation": split.test, "pixels": None})}
    )
    with pytest.raises(DataError, match=f"was trained on {len(split.test)} of its own test strips"):
        predict_out_of_fold([cheat], read_kaggle(data))
    with pytest.raises(DataError, match="no fold of the model held out any"):
        predict_out_of_fold(sessions, [])


def test_trainings_are_compared_strip_by_strip(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(CompareConfig(runs=(runs, runs)))
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert "+0.000 (0.000)" not in first
    assert "+0.000 (0.000)" in second
    with pytest.raises(DataError, match=r"holds no best\.pt"):
        compare(CompareConfig(runs=(tmp_path,)))
    with pytest.raises(OptionError, match="expected folders to compare"):
        compare(CompareConfig(runs=()))


@pytest.fixture(scope="module")
def more_strips(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The strips of the training with four new ones, and a file that deals all of them to folds."""
    new = tmp_path_factory.mktemp("new")
    draw(DrawConfig(out=new, count=4, seed=9))
    strips: list[LabelledStrip] = [*read_kaggle(data)]
    strips += [Renamed(strip, f"new-{strip.name}") for strip in read_kaggle(new)]
    folder = tmp_path_factory.mktemp("more")
    write_kaggle(strips, folder, "writing")
    return folder, folder / "folds.csv"


def test_thresholds_are_tuned_anew_on_what_the_folds_answer(
    exported: Path, more_strips: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, fold_file = more_strips
    held_out = [OrtSession(path).metadata.split.test for path in sorted(exported.parent.glob("folds/*.onnx"))]
    rows = [f"{name},{fold}" for fold, names in enumerate(held_out, 1) for name in names]
    new = sorted(strip.name for strip in read_kaggle(folder) if strip.name.startswith("new-"))
    rows += [f"{name},{number % FOLDS + 1}" for number, name in enumerate(new)]
    fold_file.write_text("\n".join(["name,fold", *rows]))
    config = TuneConfig(data=folder, model=exported, out=tmp_path, out_of_fold=True, fold_file=fold_file)

    with pytest.raises(DataError, match="expected each of 14 strips in the test of one fold, got 4 in none"):
        retune(replace(config, fold_file=None))
    swapped = tmp_path / "swapped.csv"
    swapped.write_text("\n".join(["name,fold", *(f"{row[:-1]}{3 - int(row[-1])}" for row in rows)]))
    with pytest.raises(DataError, match=r"1\.onnx was trained or tuned on 6 of its strips"):
        retune(replace(config, fold_file=swapped))

    path = retune(config)
    metadata = OrtSession(path).metadata
    assert (path.parent.name, metadata.version) == ("2", "2")
    assert "14 strips, out of fold" in metadata.profiles[0].measured_on
    assert set(metadata.split.validation) == set(new)  # they chose its thresholds
    folds = [OrtSession(fold) for fold in sorted(path.parent.glob("folds/*.onnx"))]
    assert [len(fold.metadata.split.test) for fold in folds] == [6, 8]
    for fold in folds:
        prove(fold)
        assert fold.metadata.version == "2"
        assert fold.metadata.profiles[0].class_threshold >= (0.1,) * 4
    found = predict_out_of_fold(folds, read_kaggle(folder))
    assert len(found.strips) == 14
    scores = class_scores(found.overlaps["inspection"], metadata.class_ids)
    assert tuple(scores) == metadata.profiles[0].scores
