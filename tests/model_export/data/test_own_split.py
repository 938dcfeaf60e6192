"""The mill's own groups and sets: what they decide, and what they may not contradict."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.draw import DrawConfig, draw
from model_export.data.kaggle import read_kaggle
from model_export.data.own_split import check_apart, read_groups, read_sets
from model_export.errors import DataError, OptionError
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.training.config import check_config
from model_export.training.sources import list_strips, make_split
from model_export.training.train import train
from service.model.metadata import Split
from tests.support.quick_training import TINY

COILS = {f"{number:02}.png": f"coil {number // 3}" for number in range(12)}
SETS = {name: {"coil 0": "test", "coil 1": "validation"}.get(coil, "train") for name, coil in COILS.items()}


@dataclass(frozen=True)
class Mill:
    """A data set with its tables."""

    folder: Path

    def write(self, name: str, column: str, values: dict[str, str]) -> Path:
        rows = "".join(f"{image},{value}\n" for image, value in values.items())
        (self.folder / name).write_text(f"ImageId,{column}\n{rows}")
        return self.folder / name

    def split(self, **options: object) -> Split:
        own = replace(TINY, data=self.folder, drawn=0, folds=4)
        config = replace(own, **options)  # type: ignore[arg-type]
        check_config(config, 1)
        return make_split(config, list_strips(config))


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    folder = tmp_path / "mill"
    (folder / "train_images").mkdir(parents=True)
    for number, name in enumerate(COILS):
        strip = np.random.default_rng(number).integers(60, 90, (256, 1600)).astype(np.uint8)
        Image.fromarray(strip).save(folder / "train_images" / name)
    rows = "".join(f"{name},{1 + number % 4},1 300\n" for number, name in enumerate(COILS) if number % 3)
    (folder / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n" + rows)
    return Mill(folder)


def coils(names: tuple[str, ...]) -> set[str]:
    return {COILS[name] for name in names}


def test_coils_are_not_separated(mill: Mill) -> None:
    mill.write("groups.csv", "Group", COILS)
    split = mill.split()
    assert [len(coils(part)) for part in (split.train, split.validation, split.test)] == [2, 1, 1]
    assert not coils(split.train) & coils(split.test)
    assert "of the data set's own" in split.strategy
    tests = [mill.split(fold=fold).test for fold in range(1, 5)]
    assert sorted(name for test in tests for name in test) == sorted(COILS)
    assert all(len(coils(test)) == 1 for test in tests)


def test_a_table_elsewhere_is_named_by_an_option(mill: Mill) -> None:
    """It takes the place of the one in the data set."""
    mill.write("groups.csv", "Group", dict.fromkeys(COILS, "one"))
    other = mill.write("elsewhere.csv", "Group", COILS)
    assert len(coils(mill.split(groups=other).test)) == 1
    with pytest.raises(OptionError, match="name them with --data FOLDER"):
        check_config(replace(TINY, groups=other), 1)
    with pytest.raises(FileNotFoundError):
        mill.split(groups=mill.folder / "none.csv")


def test_sets_decide(mill: Mill) -> None:
    mill.write("groups.csv", "Group", COILS)
    mill.write("split.csv", "Set", {name: one.title() for name, one in SETS.items()})
    split = mill.split()
    for part in ("train", "validation", "test"):
        assert set(getattr(split, part)) == {name for name, one in SETS.items() if one == part}
    folds = [mill.split(fold=fold, folds=3) for fold in range(4)]
    assert all("00.png" not in (*fold.train, *fold.test) for fold in folds)
    with pytest.raises(ValueError, match="9 strips in 3 groups do not fill 4 folds"):
        [mill.split(fold=fold) for fold in range(1, 5)]
    assert set(folds[0].train) == {name for name, one in SETS.items() if one != "test"}


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("split.csv", {"00.png": "training"}, "expected train, validation, test for 00.png, got 'training'"),
        ("split.csv", {"00.png": ""}, "split.csv names no Set of 1 image, e.g. 00.png"),
        ("split.csv", {"typo.png": "train"}, "split.csv names 1 image that .*mill lacks, e.g. typo.png"),
        (
            "split.csv",
            {"01.png": "train"},
            "00.png and 01.png are of one group, and are in two parts",
        ),
        ("groups.csv", {"00.png": ""}, "groups.csv names no Group of 1 image, e.g. 00.png"),
        ("groups.csv", {"typo.png": "coil 9"}, "groups.csv names 1 image that .* lacks, e.g. typo.png"),
        ("split.csv", dict.fromkeys(COILS, "test"), "expected images that train, got none"),
    ],
)
def test_what_contradicts_is_refused(mill: Mill, name: str, rows: dict[str, str], message: str) -> None:
    tables = {"groups.csv": ("Group", COILS), "split.csv": ("Set", SETS)}
    for table, (column, values) in tables.items():
        mill.write(table, column, values | rows if table == name else values)
    with pytest.raises(DataError, match=message):
        mill.split()


def test_an_image_in_two_sets(mill: Mill) -> None:
    path = mill.write("split.csv", "Set", SETS)
    path.write_text(path.read_text() + "00.png,test\n")
    mill.split()
    path.write_text(path.read_text() + "00.png,train\n")
    with pytest.raises(DataError, match=r"line 15: 00\.png has two values of Set: test and train"):
        mill.split()


def test_a_fold_file_may_not_separate_a_coil(mill: Mill) -> None:
    mill.write("groups.csv", "Group", COILS)
    rows = "".join(f"{name},{1 + number % 4}\n" for number, name in enumerate(COILS))
    (mill.folder / "folds.csv").write_text("name,fold\n" + rows)
    with pytest.raises(DataError, match="of one group, and are in two parts: fold 1 and fold 2"):
        mill.split(fold=1, fold_file=mill.folder / "folds.csv")


def test_images_that_are_left_out_may_stand_in_a_table(mill: Mill) -> None:
    mill.write("groups.csv", "Group", COILS)
    mill.write("split.csv", "Set", SETS)
    bad = mill.folder / "train_images" / "05.png"
    bad.write_bytes(bad.read_bytes()[:900])
    strips = [strip for strip in read_kaggle(mill.folder, skip_bad=True) if strip.name != "05.png"]
    groups, sets = read_groups(mill.folder, strips), read_sets(mill.folder, strips)
    assert sets is not None
    assert groups is not None
    assert sum(map(len, groups)) == len(sets) == 11
    check_apart(strips, groups, sets)


def test_evaluate_takes_the_mills_test_strips(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(DrawConfig(out=tmp_path, count=5))
    names = sorted(path.name for path in (tmp_path / "train_images").iterdir())
    sets = dict.fromkeys(names, "train") | dict.fromkeys(names[:2], "test")
    Mill(tmp_path).write("split.csv", "Set", sets)
    evaluate(EvaluateConfig(data=tmp_path, model=tiny_model, strips="test", profile="inspection"))
    assert f"the 2 test strips of {tmp_path / 'split.csv'}" in capsys.readouterr().out


def test_a_training_keeps_the_sets(mill: Mill, tmp_path: Path) -> None:
    mill.write("split.csv", "Set", SETS)
    config = replace(TINY, data=mill.folder, drawn=0, epochs=1, out=tmp_path / "run")
    assert train(config).is_file()
