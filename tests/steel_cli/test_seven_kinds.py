"""The commands with a model of another mill: seven classes whose ids have gaps, frames of several tiles."""

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.masks import label_studio
from service.masks.palette import COLOURS
from steel_cli.run_file import RUN
from steel_cli.watch import WatchConfig, _watch
from steel_client import ConfigurationError
from tests.steel_cli.conftest import Steel
from tests.support.images import png
from tests.support.serving import Server, real_server
from tests.support.seven_kinds import FRAME, KINDS, TILE, seven_frame, seven_rle, write_seven_model
from tests.support.tiny_model import Box, write_tiny_model
from tests.support.waiting import until

ALL = ("coco", "label-studio", "pictures", "strips")
BLOCKS: dict[str, dict[int, Box]] = {
    "two.png": {2: (120, 30, 40, 50), 1200: (5, 5, 20, 20)},
    "coil 7/wide.png": {7: (100, 60, 90, 30), 10: (250, 0, 50, 30), 40: (0, 90, 300, 6)},
    "clean.png": {},
}
"""Rectangles of each class's value, across the borders of tiles."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seven_model(tmp_path_factory.mktemp("seven") / "1" / "model.onnx")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with real_server(model) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of frames, and one strip of the tile's size."""
    folder = tmp_path / "images"
    (folder / "coil 7").mkdir(parents=True)
    for name, blocks in BLOCKS.items():
        (folder / name).write_bytes(png(seven_frame(blocks)))
    (folder / "tile.png").write_bytes(png(seven_frame({3: (0, 0, 9, 9)}, TILE)))
    return folder


def journal(out: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    return {line["file"]: line for line in lines}


def mask_of(name: str, class_id: int) -> np.ndarray:
    mask = np.zeros(FRAME, dtype=np.bool_)
    if class_id in BLOCKS[name]:
        left, top, width, height = BLOCKS[name][class_id]
        mask[top : top + height, left : left + width] = True
    return mask


def test_every_format_is_read_back(
    steel: Steel, server: Server, model: Path, folder: Path, tmp_path: Path
) -> None:
    with_server = steel("predict", folder, "--server", server.url, "--out", tmp_path / "a", "--write", *ALL)
    without = steel("predict", folder, "--out", tmp_path / "b", "--write", *ALL, model=model)
    assert (with_server.returncode, without.returncode) == (0, 0), with_server.stderr + without.stderr
    assert journal(tmp_path / "a") == journal(tmp_path / "b")
    out = tmp_path / "a"
    lines = journal(out)
    assert lines["tile.png"].get("tiles") is None
    for name, blocks in BLOCKS.items():
        assert (lines[name]["height"], lines[name]["width"], lines[name]["tiles"]) == (*FRAME, 6)
        codes = {one["class_id"]: one["rle"] for one in lines[name]["classes"]}
        assert codes == {one.id: seven_rle(blocks[one.id]) if one.id in blocks else "" for one in KINDS}
    check_coco(out)
    check_label_studio(out)
    check_pictures(out)
    for name in BLOCKS:
        with Image.open(out / "strips" / name) as copy:
            np.testing.assert_array_equal(np.asarray(copy), seven_frame(BLOCKS[name]))


def check_coco(out: Path) -> None:
    coco = COCO(out / "coco.json")
    assert {one["id"]: one["name"] for one in coco.cats.values()} == {one.id: one.name for one in KINDS}
    images = {one["file_name"]: one for one in coco.imgs.values()}
    for name, blocks in BLOCKS.items():
        assert (images[name]["height"], images[name]["width"]) == FRAME
        found = {one["category_id"]: one for one in coco.imgToAnns[images[name]["id"]]}
        assert found.keys() == blocks.keys()
        for class_id, annotation in found.items():
            np.testing.assert_array_equal(coco.annToMask(annotation), mask_of(name, class_id))
            assert tuple(annotation["bbox"]) == blocks[class_id]


def check_label_studio(out: Path) -> None:
    interface = ElementTree.fromstring((out / "label_studio.xml").read_text(encoding="utf-8"))
    colours = {label.get("value"): label.get("background") for label in interface.iter("Label")}
    assert colours == {one.name: f"#{bytes(COLOURS[place]).hex()}" for place, one in enumerate(KINDS)}
    tasks = json.loads((out / "label_studio.json").read_text())
    ids = {one.name: one.id for one in KINDS}
    for task in tasks:
        assert unquote_to_bytes(task["data"]["image"]).decode().endswith(task["data"]["file"])
        name = task["data"]["file"]
        if name not in BLOCKS:
            continue
        regions = task["predictions"][0]["result"]
        assert len(regions) == len(BLOCKS[name])
        for region in regions:
            assert (region["original_height"], region["original_width"]) == FRAME
            (label,) = region["value"]["brushlabels"]
            mask = label_studio.decode(region["value"]["rle"], height=FRAME[0], width=FRAME[1])
            np.testing.assert_array_equal(mask.T, mask_of(name, ids[label]))


def check_pictures(out: Path) -> None:
    names = {path.relative_to(out / "pictures").as_posix() for path in (out / "pictures").rglob("*.png")}
    assert names == {"two.png", "coil 7/wide.png", "tile.png"}
    with Image.open(out / "pictures" / "coil 7/wide.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[1] == FRAME[1]
    for class_id, (left, top, _, _) in BLOCKS["coil 7/wide.png"].items():
        place = [one.id for one in KINDS].index(class_id)
        assert tuple(pixels[top, left]) == COLOURS[place]


def test_categories_are_the_models_where_nothing_was_found(steel: Steel, model: Path, tmp_path: Path) -> None:
    image = tmp_path / "clean.png"
    image.write_bytes(b"no image")
    done = steel("predict", image, "--out", tmp_path / "out", "--write", "coco", "label-studio", model=model)
    assert done.returncode == 1
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert coco["images"] == []
    assert coco["categories"] == [one.model_dump() for one in KINDS]
    assert (tmp_path / "out" / "label_studio.xml").read_text(encoding="utf-8").count("<Label ") == len(KINDS)


def test_a_submission_to_kaggle_is_of_its_classes_and_size(
    steel: Steel, model: Path, folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = ("predict", folder, "--out", out, "--write", "kaggle")
    done = steel(*run, model=model)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: --write kaggle: expected a model of Kaggle's classes, 1, 2, 3, 4 on 1600x256 pixels, got "
        "classes 2, 3, 7, 10, 11, 40, 1200 on 128x64; the format coco holds any"
    )
    assert not out.exists()
    frame = tmp_path / "frame.png"
    frame.write_bytes(png(np.zeros((256, 1664), dtype=np.uint8)))
    done = steel("predict", frame, "--out", out, "--write", "kaggle", "coco", model=tiny_model)
    assert done.returncode == 2
    assert "expected images of 1600x256 pixels, got one of 1664x256, frame.png" in done.stderr
    assert (out / "coco.json").exists()
    assert not list(out.glob("submission*"))


def test_a_run_is_not_continued_with_other_classes(
    steel: Steel, model: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    renamed = tuple(one.model_copy(update={"name": "pit"}) if one.id == 40 else one for one in KINDS)
    values = [30 * number for number in range(1, 8)]
    other = write_tiny_model(tmp_path / "b" / "1" / "model.onnx", values=values, tile=TILE, kinds=renamed)
    assert steel("predict", folder, "--out", out, model=model).returncode == 0
    done = steel("predict", folder, "--out", out, model=other)
    assert done.returncode == 2
    assert "was started with classes = [" in done.stderr
    assert '"name": "dent"' in done.stderr


def test_images_below_a_tile_are_refused_or_padded(steel: Steel, model: Path, tmp_path: Path) -> None:
    image, out = tmp_path / "small.png", tmp_path / "out"
    box = (20, 10, 30, 20)
    image.write_bytes(png(seven_frame({11: box}, (40, 90))))
    assert steel("predict", image, "--out", out, model=model).returncode == 1
    assert "expected an image of at least 128x64 pixels" in journal(out)["small.png"]["error"]
    refused = steel("predict", image, "--out", out, "--pad", "true", model=model)
    assert 'was started with pad = null, got "true"' in refused.stderr
    wrong = steel("predict", image, "--out", out, "--pad", "maybe", model=model)
    assert wrong.returncode == 2
    assert "expected true or false" in wrong.stderr
    padded = ("--pad", "true", "--restart", "--write", "pictures")
    assert steel("predict", image, "--out", out, *padded, model=model).returncode == 0
    (line,) = journal(out).values()
    assert (line["width"], line["height"]) == (90, 40)
    assert {one["class_id"]: one["rle"] for one in line["classes"]}[11] == seven_rle(box, (40, 90))
    with Image.open(out / "pictures" / "small.png") as picture:
        assert picture.width == 90


def test_a_run_of_an_earlier_version_knows_its_classes_from_its_lines(
    steel: Steel, model: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert steel("predict", folder, "--out", out, model=model).returncode == 0
    spec = json.loads((out / RUN).read_text())
    classes = spec.pop("classes")
    assert classes == [one.model_dump() for one in KINDS]
    spec.pop("pad")
    (out / RUN).write_text(json.dumps(spec))
    assert steel("predict", folder, "--out", out, model=model).returncode == 0
    assert json.loads((out / RUN).read_text())["classes"] == classes
    (out / RUN).write_text(json.dumps(spec))
    text = (out / "predictions.jsonl").read_text(encoding="utf-8")
    (out / "predictions.jsonl").write_text(text.replace('"dent"', '"pit"'), encoding="utf-8")
    done = steel("predict", folder, "--out", out, model=model)
    assert (done.returncode, "was started with classes = [" in done.stderr) == (2, True)


def answered(out: Path) -> int:
    path = out / "predictions.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


async def reload(server: Server) -> None:
    async with httpx.AsyncClient(headers={"X-API-Key": "key"}, timeout=60) as client:
        answer = await client.post(f"{server.url}/model/reload")
    assert answer.json()["changed"], answer.text


@pytest.mark.slow
@pytest.mark.anyio
async def test_watch_ends_when_the_classes_change(tmp_path: Path) -> None:
    """The service reloads a model of other classes; one of the same classes goes on."""
    folder, out, models = tmp_path / "images", tmp_path / "out", tmp_path / "models"
    folder.mkdir()
    write_seven_model(models / "1" / "model.onnx")
    strip = png(seven_frame({3: (0, 0, 9, 9)}))

    def arrive(name: str) -> None:
        (folder / name).write_bytes(strip)

    with real_server(models, api_key="key") as server:
        config = WatchConfig(folder, out, server=server.url, api_key="key", interval=0.05, settle=0.1)
        task = asyncio.create_task(_watch(config, folder))
        try:
            arrive("a.png")
            await asyncio.to_thread(until, lambda: answered(out) == 1)
            write_seven_model(models / "2" / "model.onnx", "2")
            await reload(server)
            arrive("b.png")
            await asyncio.to_thread(until, lambda: answered(out) == 2)
            write_tiny_model(models / "3" / "model.onnx", values=(90, 120), tile=TILE)
            await reload(server)
            arrive("c.png")
            with pytest.raises(ConfigurationError, match="a model of other classes"):
                await asyncio.wait_for(task, 30)
        finally:
            task.cancel()
    assert answered(out) == 2
    assert {line["model"]["version"] for line in journal(out).values()} == {"1", "2"}
