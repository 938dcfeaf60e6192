"""Label files as people and tools write them: the masks that come out, or the message."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from model_export.errors import DataError
from model_export.labels.check import CheckConfig, check
from service.masks import rle
from tests.model_export.labels.variants import VARIANTS
from tests.model_export.labels.variants.scene import SCENE, Mask, Variant
from tests.support.images import read


def layout(folder: Path) -> dict[str, dict[str, Mask]]:
    """Return the masks of a layout by the stem of the image and the name of the class."""
    names = {one["id"]: one["name"] for one in json.loads((folder / "classes.json").read_text())}
    found: dict[str, dict[str, Mask]] = {
        path.stem.rsplit("_", 1)[-1]: {} for path in (folder / "train_images").iterdir()
    }
    shapes = {
        path.name: read(path.read_bytes(), bits=12 if path.read_bytes()[24] == 16 else None, least=None).shape
        for path in (folder / "train_images").iterdir()
    }
    before = csv.field_size_limit(10_000_000)
    with (folder / "train.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            height, width = shapes[row["ImageId"]]
            mask = rle.decode(row["EncodedPixels"], height=height, width=width).T
            stem = Path(row["ImageId"]).stem.rsplit("_", 1)[-1]
            found[stem][names[int(row["ClassId"])]] = mask
    csv.field_size_limit(before)
    return found


def same(found: Mapping[str, Mapping[str, Mask]], wanted: Mapping[str, Mapping[str, Mask]]) -> bool:
    return {stem: masks.keys() for stem, masks in found.items()} == {
        stem: masks.keys() for stem, masks in wanted.items()
    } and all(
        np.array_equal(found[stem][name], mask)
        for stem, masks in wanted.items()
        for name, mask in masks.items()
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=[f"{one.format}: {one.title}" for one in VARIANTS])
def test_a_variant_gives_its_masks_or_its_message(
    variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    variant.build(data)
    if variant.gives is not None:
        check(CheckConfig(data, out=out, **variant.options))
        assert same(layout(out), variant.gives)
        assert variant.says in capsys.readouterr().out
        return
    with pytest.raises(DataError) as error:
        check(CheckConfig(data, out=out, **variant.options))
    assert variant.says in f"{capsys.readouterr().out}\n{error.value}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"], "something was written"
    skipping = CheckConfig(data, out=out, **{**variant.options, "skip_bad": True})
    if variant.left is None:
        with pytest.raises(DataError):
            check(skipping)
        assert not out.exists()
        return
    check(skipping)
    left = layout(out)
    assert tuple(sorted(left)) == variant.left
    for stem in left:
        assert same({stem: left[stem]}, {stem: SCENE[stem]}), f"{stem} has other labels than it had"


def test_there_are_many_variants() -> None:
    assert len(VARIANTS) >= 60
    titles = [(one.format, one.title) for one in VARIANTS]
    assert len(set(titles)) == len(titles)
