"""Predictions as tasks of Label Studio."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from service.masks import label_studio, rle
from tests.support.journal import BLOCK, EDGE, NAMES, tasks_of, write_journal
from tests.support.serving import ROOT
from tests.support.tiny_model import TILE

HEIGHT, WIDTH = TILE
CONVERTER = ROOT / ".venv-label-studio" / "bin" / "python"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path)


def test_label_studio_finds_tasks_masks_and_their_interface(journal: Path, tmp_path: Path) -> None:
    tasks = tasks_of(journal, tmp_path)
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=strips/0.png",
        "/data/local-files/?d=strips/line%202/0.png",
        "/data/local-files/?d=strips/1.png",
    ]
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [2, 0, 1]
    interface = ElementTree.fromstring((tmp_path / "label_studio.xml").read_text())
    labels = {label.get("value") for label in interface.iter("Label")}
    assert labels == set(NAMES)
    brush, image = interface.find("BrushLabels"), interface.find("Image")
    assert brush is not None
    assert image is not None
    for region in (region for task in tasks for region in task["predictions"][0]["result"]):
        assert (region["from_name"], region["to_name"]) == (brush.get("name"), image.get("name"))
        assert set(region["value"]["brushlabels"]) <= labels


def test_label_studios_own_converter_reads_the_masks(journal: Path, tmp_path: Path) -> None:
    if not CONVERTER.is_file():
        pytest.skip(f"no {CONVERTER.parent.parent.name} here: `make test` makes it")
    tasks_of(journal, tmp_path)
    script = """
import json, sys
import numpy as np
from label_studio_sdk.converter.brush import decode_rle, encode_rle
tasks = json.load(open(sys.argv[1] + "/label_studio.json"))
masks = [decode_rle(region["value"]["rle"]).reshape(256, 1600, 4)
         for task in tasks for region in task["predictions"][0]["result"]]
np.save(sys.argv[1] + "/masks.npy", np.stack(masks))
codes = [list(map(int, encode_rle(mask.reshape(-1)))) for mask in masks]
json.dump(codes, open(sys.argv[1] + "/codes.json", "w"))
"""
    subprocess.run([CONVERTER, "-c", script, tmp_path], check=True, timeout=300)
    masks = np.load(tmp_path / "masks.npy")
    expected = [rle.decode(code, height=HEIGHT, width=WIDTH).T for code in (EDGE, BLOCK, EDGE)]
    for channel in range(4):
        np.testing.assert_array_equal(masks[..., channel], np.stack(expected) * np.uint8(255))
    # And what it writes is read here.
    for code, mask in zip(json.loads((tmp_path / "codes.json").read_text()), expected, strict=True):
        np.testing.assert_array_equal(label_studio.decode(code, height=HEIGHT, width=WIDTH), mask.T)
