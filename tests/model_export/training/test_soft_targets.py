"""Soft targets: written once by teachers that saw nothing of the fold, found by pixels, learned."""

import csv
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from PIL import Image

from model_export.data.dataset import SampleIndex, StripDataset
from model_export.data.digest import strip_digest
from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.data.labelled_strip import CLEAN
from model_export.data.soft_targets import (
    SoftTarget,
    SoftTargets,
    UnlabelledStrip,
    write_soft_targets,
)
from model_export.data.synthetic import DrawnStrip
from model_export.errors import DataError
from model_export.training.ask_teachers import SoftTargetsConfig, soft_targets
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from model_export.training.train import train
from tests.support.quick_training import TINY


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn strips as a data set, two more without labels, and a file that deals out folds."""
    folder = tmp_path_factory.mktemp("data")
    draw(DrawConfig(out=folder, count=6, seed=3))
    (folder / "more").mkdir()
    for number in range(2):
        Image.fromarray(DrawnStrip(11, number).load()[0]).save(folder / "more" / f"more-{number}.png")
    (folder / "more" / "classes.csv").write_text("image_id,classes\nmore-0.png,2 4\n")
    with (folder / "folds.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("name", "fold"), *((s.name, 1 + i % 2) for i, s in enumerate(read_kaggle(folder)))]
        )
    return folder


@pytest.fixture(scope="module")
def config(data: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossValidateConfig:
    quick = replace(TINY, data=data, epochs=1, folds=2, fold_file=data / "folds.csv", validate_every=1)
    return CrossValidateConfig(**vars(replace(quick, out=tmp_path_factory.mktemp("teachers"))))


@pytest.fixture(scope="module")
def teachers(config: CrossValidateConfig) -> Path:
    """Trainings of both folds and of all strips."""
    cross_validate(config)
    return config.out


@pytest.fixture(scope="module")
def written(data: Path, teachers: Path, tmp_path_factory: pytest.TempPathFactory) -> SoftTargetsConfig:
    """Their soft targets."""
    asked = SoftTargetsConfig(
        data=data,
        teacher=(teachers,),
        out=tmp_path_factory.mktemp("targets"),
        unlabelled=(data / "more",),
        folds=2,
        fold_file=data / "folds.csv",
    )
    soft_targets(asked)
    return asked


def test_the_folds_are_those_of_the_file(data: Path, teachers: Path) -> None:
    strips = read_kaggle(data)
    for fold in (1, 2):
        state = load_checkpoint(teachers / f"fold-{fold}" / "best.pt")
        assert state.split.test == tuple(strip.name for strip in strips[fold - 1 :: 2])
        seen = {strip_digest(strip.load()[0]) for strip in strips if strip.name in state.split.train}
        assert set(state.seen) == seen


def test_a_fold_has_the_answers_of_its_own_teacher_for_all_but_its_test(
    written: SoftTargetsConfig, data: Path, teachers: Path
) -> None:
    targets = SoftTargets(written.out / "fold-1")
    network = restore_network(load_checkpoint(teachers / "fold-1" / "best.pt"))
    for number, strip in enumerate(read_kaggle(data)):
        image = strip.load()[0]
        found = targets.find(image)
        if number % 2 == 0:
            assert found is None
            continue
        assert found is not None
        flipped = [image[::rows, ::columns].copy() for rows in (1, -1) for columns in (1, -1)]
        with torch.inference_mode():
            masks, classes = network.decoder_logits(torch.from_numpy(np.stack(flipped)).unsqueeze(1).float())
        np.testing.assert_allclose(found.classes, torch.sigmoid(classes).mean(dim=0), atol=1e-5)
        turned = [
            torch.sigmoid(mask).flip([axis for axis, step in ((1, rows), (2, columns)) if step < 0])
            for mask, (rows, columns) in zip(masks, ((1, 1), (1, -1), (-1, 1), (-1, -1)), strict=True)
        ]
        fine = torch.nn.functional.interpolate(torch.stack(turned).mean(dim=0)[None], (64, 400))[0]
        np.testing.assert_allclose(found.masks / 255, fine, atol=0.003)
    assert len({path.name for path in written.out.iterdir()}) == 3


def test_classes_that_are_known_are_certain(written: SoftTargetsConfig) -> None:
    targets = SoftTargets(written.out / "all")
    found = targets.find(DrawnStrip(11, 0).load()[0])
    assert found is not None
    assert found.classes.tolist() == [0, 1, 0, 1]
    assert not found.masks[[0, 2]].any()
    assert found.masks[[1, 3]].any()
    other = targets.find(DrawnStrip(11, 1).load()[0])
    assert other is not None
    assert 0 < other.classes.min() < other.classes.max() < 1


def test_a_teacher_that_saw_the_fold_is_refused_whatever_its_strips_are_called(
    written: SoftTargetsConfig, data: Path, teachers: Path, tmp_path: Path
) -> None:
    cheat = replace(written, teacher=(teachers / "all" / "best.pt",), out=tmp_path, only=(1,))
    with pytest.raises(DataError, match=r"saw 3 of the 3 strips that are held out, e\.g\."):
        soft_targets(cheat)
    renamed = tmp_path / "renamed"
    (renamed / "train_images").mkdir(parents=True)
    for strip in read_kaggle(data):
        copyfile(strip.path, renamed / "train_images" / f"new-{strip.name}")
    (renamed / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n")
    folds = (data / "folds.csv").read_text().replace("\ndrawn", "\nnew-drawn")
    folds = "name,fold\n" + "".join(f"new-{line}\n" for line in folds.splitlines()[1:])
    (renamed / "folds.csv").write_text(folds.replace("new-new-", "new-"))
    with pytest.raises(DataError, match=r"saw 3 of the 3 strips that are held out, e\.g\. new-"):
        soft_targets(replace(cheat, data=renamed, fold_file=renamed / "folds.csv"))
    start = replace(
        TINY, data=renamed, fold_file=renamed / "folds.csv", folds=2, fold=1, out=tmp_path / "run"
    )
    for unfair in (
        replace(start, start_from=teachers / "all" / "best.pt"),
        replace(start, teacher=(teachers / "fold-1" / "best.pt", teachers / "fold-2" / "best.pt")),
    ):
        with pytest.raises(DataError, match=r"best\.pt saw 3 of the 3 strips that are held out"):
            train(unfair)


def test_soft_targets_of_another_fold_are_refused(
    written: SoftTargetsConfig, config: CrossValidateConfig, tmp_path: Path
) -> None:
    mixed = tmp_path / "targets"
    mixed.mkdir()
    (mixed / "fold-1").symlink_to(written.out / "fold-2")
    (mixed / "fold-2").symlink_to(written.out / "fold-1")
    student = replace(config, soft_targets=mixed, out=tmp_path / "run", only=(1,))
    with pytest.raises(DataError, match="lacks 3 strips of the training"):
        cross_validate(student)
    with pytest.raises(DataError, match="there are no soft targets in"):
        cross_validate(replace(student, soft_targets=tmp_path))


def test_students_learn_from_labelled_and_unlabelled_strips(
    written: SoftTargetsConfig, config: CrossValidateConfig, data: Path, tmp_path: Path
) -> None:
    student = replace(
        config,
        soft_targets=written.out,
        unlabelled=(data / "more",),
        unlabelled_share=0.5,
        out=tmp_path / "run",
        only=(1,),
        epochs=2,
        samples_per_epoch=8,
    )
    state = load_checkpoint(cross_validate(student)[0])
    assert set(state.seen) == set(load_checkpoint(config.out / "fold-1" / "best.pt").seen)
    with pytest.raises(ValueError, match=r"--epochs 3 \(the checkpoint has 2\)"):
        cross_validate(replace(student, epochs=3))
    (data / "other").mkdir()
    Image.fromarray(DrawnStrip(12, 0).load()[0]).save(data / "other" / "new.png")
    strange = replace(student, unlabelled=(data / "other",), out=tmp_path / "strange")
    with pytest.raises(DataError, match="1 unlabelled strips have no soft target"):
        cross_validate(strange)


def test_a_sample_holds_truth_and_teachers_moved_alike(tmp_path: Path) -> None:
    strip = DrawnStrip(5, 3)
    image, masks = strip.load()
    soft = np.zeros((4, 64, 400), dtype=np.uint8)
    soft[1, 10:20, 40:60] = 200
    target = SoftTarget(soft, np.array([0.1, 0.9, 0, 0], dtype=np.float32))
    write_soft_targets(tmp_path, {strip_digest(image): target}, frozenset(), [])
    targets = SoftTargets(tmp_path)
    dataset = StripDataset([strip], None, None, targets, teacher_share=0.25)
    whole = dataset[0]
    assert torch.equal(whole.masks.bool(), torch.from_numpy(masks.copy()))
    assert torch.equal(whole.soft_masks, torch.from_numpy(target.enlarge(image.shape)))
    torch.testing.assert_close(whole.soft_classes, torch.tensor([0.1, 0.9, 0, 0]))
    torch.testing.assert_close(whole.weights, torch.tensor([0.75, 0.25]))

    Image.fromarray(image).save(tmp_path / "u.png")
    guessed = UnlabelledStrip(tmp_path / "u.png", target)
    assert guessed.classes == {1}
    sample = StripDataset([guessed], (256, 128), None, targets)[SampleIndex(0, 1)]
    assert not sample.masks.any()
    assert sample.soft_masks[1].any()
    torch.testing.assert_close(sample.weights, torch.tensor([0.0, 1.0]))
    elsewhere = StripDataset([guessed], (256, 128), None, targets)[SampleIndex(0, CLEAN)]
    assert not elsewhere.soft_masks.any()
    torch.testing.assert_close(elsewhere.soft_classes, torch.tensor([0.1, 0, 0, 0]))
