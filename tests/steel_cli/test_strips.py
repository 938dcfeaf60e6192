"""Files that viewers show otherwise than the service reads them: pictures, copies, labels, import."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError
from model_export.labels.import_labels import ImportConfig, import_labels
from service.geometry import Strip
from steel_cli.journal import JOURNAL
from steel_cli.strips import otherwise_shown
from tests.steel_cli.conftest import Steel
from tests.support.images import encoded, exif, png
from tests.support.serving import ROOT, environment_without_settings
from tests.support.tiny_model import block_rle, block_strip

BLOCK = (100, 20, 5, 30)
STRIP = block_strip(c3=BLOCK)
CLASSES = ("kind 1", "kind 2", "kind 3", "kind 4")
TURNED = (3, 6)
COUNT = 8
KINDS: dict[str, dict[str, object]] = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one strip in some orientations, and once with 12 bits."""
    folder = tmp_path / "images"
    (folder / "line 2").mkdir(parents=True)
    (folder / "plain.png").write_bytes(png(STRIP))
    for kind, options in KINDS.items():
        for turned in TURNED:
            data = encoded(Image.fromarray(STRIP), kind, exif=exif(turned), **options)
            (folder / f"{turned}.{kind.lower()}").write_bytes(data)
    wide = np.rint(STRIP * (4095 / 255)).astype(np.uint16)
    Image.fromarray(wide).save(folder / "line 2" / "12.png")
    return folder


def opened(path: Path) -> Strip:
    with Image.open(path) as image:
        assert not image.getexif()
        return np.asarray(image)


def test_pictures_and_copies_are_as_stored(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    out = tmp_path / "out"
    run = ("predict", folder, "--out", out, "--bits", "12")
    extra = ("--write", "pictures", "strips", "label-studio", "coco")
    done = steel(*run, *extra, model=tiny_model)
    assert done.returncode == 0, done.stderr
    assert "labelling tools" not in done.stderr
    lines = [json.loads(line) for line in (out / JOURNAL).read_text().splitlines()]
    assert {line["classes"][2]["rle"] for line in lines} == {block_rle(*BLOCK)}
    pictures = {path.read_bytes() for path in (out / "pictures").rglob("*.png")}
    assert len(pictures) == 1
    copies = sorted((out / "strips").rglob("*.png"))
    assert len(copies) == len(lines) == COUNT
    for copy in copies:
        np.testing.assert_array_equal(opened(copy), STRIP)
    names = {copy.relative_to(out / "strips").as_posix() for copy in copies}
    assert names >= {"plain.png", "3.png", "3.webp.png", "3.tiff.png", "line 2/12.png"}
    tasks = json.loads((out / "label_studio.json").read_text())
    assert {task["data"]["file"] for task in tasks} == names
    coco = json.loads((out / "coco.json").read_text())
    assert {image["file_name"] for image in coco["images"]} == names


def test_copies_and_pictures_that_are_missing_are_made_without_asking_again(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    out = tmp_path / "out"
    run = ("predict", folder, "--out", out, "--bits", "12")
    assert steel(*run, model=tiny_model).returncode == 0
    journal = (out / JOURNAL).read_bytes()
    assert steel(*run, "--write", "strips", "pictures", model=tiny_model).returncode == 0
    assert (out / JOURNAL).read_bytes() == journal
    assert len(list((out / "strips").rglob("*.png"))) == COUNT
    pictures = list((out / "pictures").rglob("*.png"))
    assert len(pictures) == COUNT
    steel("predict", folder / "plain.png", "--out", tmp_path / "b", "--write", "pictures", model=tiny_model)
    expected = (tmp_path / "b" / "pictures" / "plain.png").read_bytes()
    assert {path.read_bytes() for path in pictures} == {expected}
    pictures[0].unlink()
    assert steel(*run, "--write", "pictures", model=tiny_model).returncode == 0
    assert pictures[0].read_bytes() == expected


@pytest.mark.slow
def test_watch_draws_missing_pictures(folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"

    def watch_until(done: Callable[[], bool], *extra: str) -> None:
        command = [sys.executable, "-m", "steel_cli", "watch", str(folder), "--out", str(out), "--bits", "12"]
        environment = environment_without_settings() | {"STEEL_MODEL": str(tiny_model), "STEEL_DEVICE": "cpu"}
        process = subprocess.Popen([*command, "--interval", "0.1", *extra], cwd=ROOT, env=environment)
        try:
            while not done():
                assert process.poll() is None
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()

    journal = out / JOURNAL
    watch_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") == COUNT)
    before = journal.read_bytes()
    watch_until(lambda: len(list((out / "pictures").rglob("*.png"))) == COUNT, "--pictures")
    assert journal.read_bytes() == before


def test_files_that_labelling_tools_show_otherwise_are_named(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    run = ("predict", folder, "--out", tmp_path / "out", "--bits", "12")
    assert "labelling tools" not in steel(*run, "--write", "kaggle", model=tiny_model).stderr
    for _ in range(2):  # also if all files are answered
        said = steel(*run, "--write", "coco", model=tiny_model).stderr.splitlines()[-1]
        assert said.startswith("labelling tools do not show these files as the service reads them (")
        assert "and 4 more" in said
        assert said.endswith(
            f"add strips to --write and let the tool show the copies in {tmp_path}/out/strips"
        )


@pytest.mark.parametrize("kind", ["JPEG", *KINDS])
@pytest.mark.parametrize("turned", range(1, 9))
def test_the_reason_is_said(kind: str, turned: int) -> None:
    data = encoded(Image.fromarray(STRIP), kind, exif=exif(turned), **KINDS.get(kind, {}))
    expected = None if turned == 1 else f"EXIF orientation {turned}"
    assert otherwise_shown(data) == ("browsers show no TIFF" if kind == "TIFF" else expected)


def test_of_what_is_no_image_nothing_is_said() -> None:
    assert otherwise_shown(b"no image") is None
    assert otherwise_shown(png(STRIP)[:40]) is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_labels_of_a_turned_picture_are_refused_and_of_its_copy_imported(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path, kind: str
) -> None:
    image, out = folder / f"3.{kind.lower()}", tmp_path / "out"
    run = ("predict", image, "--out", out, "--write", "label-studio")
    labels = tmp_path / "export.json"

    def submit(*extra: str) -> None:
        steel(*run, *extra, model=tiny_model)
        tasks = json.loads((out / "label_studio.json").read_text())
        labels.write_text(
            json.dumps([{"data": task["data"], "annotations": [task["predictions"][0]]} for task in tasks])
        )

    submit()
    with pytest.raises(DataError, match="expected no EXIF orientation, got 3: the tool turned the picture"):
        import_labels(ImportConfig(labels, folder, tmp_path / "data", CLASSES))
    assert not (tmp_path / "data").exists()
    submit("strips")
    import_labels(ImportConfig(labels, out / "strips", tmp_path / "data", CLASSES))
    (strip,) = read_kaggle(tmp_path / "data")
    assert strip.rles == ("", "", block_rle(*BLOCK), "")
    np.testing.assert_array_equal(strip.load()[0], STRIP)


def test_an_export_of_upright_pictures_says_what_to_label(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "export.json"
    image = {"id": 1, "file_name": "plain.png", "width": 256, "height": 1600}
    labels.write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    with pytest.raises(DataError, match="got 256x1600: transposed, or turned by an EXIF orientation"):
        import_labels(ImportConfig(labels, folder, tmp_path / "data"))
