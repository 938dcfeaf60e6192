"""Predictions as labels to correct, and corrected labels as a data set to train on."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export.data.import_labels import ImportConfig, import_labels
from model_export.data.kaggle import read_kaggle
from model_export.errors import DataError
from service.geometry import HEIGHT, WIDTH
from service.masks import label_studio, rle
from steel_cli.label_studio import write_label_studio
from steel_cli.writers import write_coco
from tests.support.images import png
from tests.support.serving import ROOT
from tests.support.tiny_model import block_rle, block_strip

CONVERTER = ROOT / ".venv-label-studio" / "bin" / "python"
NAMES = ("pitting", "vertical line", "scratch", "patch")
BLOCK = block_rle(100, 20, 5, 30)
EDGE = "407041 2560"  # the last ten columns


def line(file: str, **codes: str) -> dict[str, Any]:
    """A journal's line, with masks by the class's number: c3="29 12"."""
    classes = [
        {
            "class_id": number,
            "name": name,
            "present": f"c{number}" in codes,
            "probability": 0.9 if f"c{number}" in codes else 0.1,
            "area": 1,
            "rle": codes.get(f"c{number}", ""),
        }
        for number, name in enumerate(NAMES, 1)
    ]
    model = {"name": "tiny", "version": "1"}
    answer = {"status": 200, "width": WIDTH, "height": HEIGHT, "defect_probability": 0.9, "classes": classes}
    return {"file": file, **answer, "model": model}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    lines = [
        line("0.png", c3=BLOCK, c1=EDGE),
        line("line 2/0.png"),
        line("1.png", c4=EDGE),
        {"file": "broken.png", "status": 415, "error": "no image"},
    ]
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "line 2").mkdir(parents=True)
    for number, name in enumerate(("0.png", "1.png", "line 2/0.png")):
        (folder / name).write_bytes(png(block_strip(c3=(number * 10, 0, 5, 5))))
    return folder


def tasks_of(journal: Path, folder: Path) -> list[dict[str, Any]]:
    write_label_studio(journal, folder, "/data/local-files/?d=strips/")
    tasks: list[dict[str, Any]] = json.loads((folder / "label_studio.json").read_text())
    return tasks


def submitted(tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Label Studio exports when somebody submits the predictions as they are."""
    return [
        {"id": number, "data": task["data"], "annotations": [{"result": task["predictions"][0]["result"]}]}
        for number, task in enumerate(tasks)
    ]


def bring_in(export: object, images: Path, out: Path, **more: Any) -> dict[str, tuple[str, ...]]:
    """Import an export and give the codes of each strip."""
    path = out.parent / "export.json"
    path.write_text(json.dumps(export))
    import_labels(ImportConfig(labels=path, images=images, out=out, **more))
    return {strip.name: strip.rles for strip in read_kaggle(out)}


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


def test_submitted_predictions_become_a_data_set(journal: Path, images: Path, tmp_path: Path) -> None:
    export = submitted(tasks_of(journal, tmp_path))
    assert bring_in(export, images, tmp_path / "data") == {
        "0.png": (EDGE, "", BLOCK, ""),
        "line 2_0.png": ("", "", "", ""),
        "1.png": ("", "", "", EDGE),
    }
    copied = tmp_path / "data" / "train_images" / "line 2_0.png"
    assert copied.read_bytes() == (images / "line 2/0.png").read_bytes()


def test_corrections_replace_labels_and_leave_the_others(journal: Path, images: Path, tmp_path: Path) -> None:
    export = submitted(tasks_of(journal, tmp_path))
    bring_in(export, images, tmp_path / "data")
    first = export[0]["annotations"]
    del first[0]["result"][0]  # the model saw pitting at the edge, where there is none
    first.append({"was_cancelled": True, "result": []})
    export[1]["annotations"] = []  # nobody looked
    assert bring_in(export[:2], images, tmp_path / "data") == {
        "0.png": ("", "", BLOCK, ""),
        "line 2_0.png": ("", "", "", ""),
        "1.png": ("", "", "", EDGE),
    }


def test_a_polygon_of_label_studio_is_a_mask(journal: Path, images: Path, tmp_path: Path) -> None:
    export = submitted(tasks_of(journal, tmp_path))
    corners = [[25, 50], [50, 50], [50, 75], [25, 75]]  # hundredths
    export[2]["annotations"][0]["result"][0] |= {
        "type": "polygonlabels",
        "value": {"points": corners, "polygonlabels": ["scratch"]},
    }
    assert bring_in(export, images, tmp_path / "data")["1.png"] == ("", "", block_rle(400, 128, 400, 64), "")


def test_cocos_json_comes_back_as_it_went(journal: Path, images: Path, tmp_path: Path) -> None:
    write_coco(journal, tmp_path / "coco.json")
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert bring_in(coco, images, tmp_path / "data")["0.png"] == (EDGE, "", BLOCK, "")


def test_what_cvat_exports_is_read(images: Path, tmp_path: Path) -> None:
    """It numbers labels as it likes, writes masks as counts and outlines as polygons."""
    counts = [100 * 256 + 20, *([30, 226] * 4), 30]
    counts.append(WIDTH * HEIGHT - sum(counts))
    coco = {
        "images": [
            {"id": 7, "file_name": "0.png", "width": WIDTH, "height": HEIGHT},
            {"id": 8, "file_name": "line 2/0.png", "width": WIDTH, "height": HEIGHT},
        ],
        "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "pitting"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 1,
                "iscrowd": 1,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts},
            },
            {
                "id": 2,
                "image_id": 7,
                "category_id": 2,
                "iscrowd": 0,
                "segmentation": [[1590, 0, 1600, 0, 1600, 256, 1590, 256]],
            },
        ],
    }
    found = bring_in(coco, images, tmp_path / "data")
    assert found == {"0.png": (EDGE, "", BLOCK, ""), "line 2_0.png": ("", "", "", "")}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=mill/strips/line%202/0.png", "line 2_0.png"),
        ("/data/local-files/?d=1.png", "1.png"),
        ("/data/upload/3/5f0c2a1b-1.png", "1.png"),
        ("s3://bucket/strips/1.png", "1.png"),
    ],
)
def test_strips_are_found_by_their_address(
    journal: Path, images: Path, tmp_path: Path, address: str, name: str
) -> None:
    task = submitted(tasks_of(journal, tmp_path))[2]
    task["data"] = {"image": address}
    assert bring_in([task], images, tmp_path / "data") == {name: ("", "", "", EDGE)}


def broken(task: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    task["annotations"][0]["result"][0] |= changes
    return [task]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda task: {"type": "rectanglelabels"}, "0.png has a region of the type 'rectanglelabels'"),
        (lambda task: {"original_width": 800}, "0.png is 800x256, 1600x256 is wanted"),
        (lambda task: {"value": {"rle": [1], "brushlabels": ["scratch"]}}, "0.png: the brush code ends"),
        (lambda task: {"value": {"brushlabels": ["scratch"]}}, "not as Label Studio or COCO"),
        (
            lambda task: {
                "value": {"rle": label_studio.encode(np.zeros((1600, 256), bool)), "brushlabels": ["rust"]}
            },
            "the label 'rust' is none of 'pitting', 'vertical line'",
        ),
    ],
)
def test_what_is_no_mask_is_said(
    journal: Path, images: Path, tmp_path: Path, change: Any, message: str
) -> None:
    task = submitted(tasks_of(journal, tmp_path))[0]
    with pytest.raises(DataError, match=message):
        bring_in(broken(task, **change(task)), images, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ([], "holds no strip that somebody has labelled"),
        ({"a": 1}, "is neither"),
        (
            [{"data": {"file": "9.png"}, "annotations": [{"result": []}]}],
            "9.png: one image of that name is wanted",
        ),
        (
            {
                "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
                "categories": [{"id": 1, "name": "scratch"}],
                "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
            },
            "a box without a mask",
        ),
        (
            {
                "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
                "categories": [{"id": 1, "name": "scratch"}],
                "annotations": [
                    {
                        "id": 5,
                        "image_id": 1,
                        "category_id": 1,
                        "segmentation": {"size": [1, 1], "counts": [1]},
                    }
                ],
            },
            "0.png",
        ),
    ],
)
def test_what_cannot_be_imported_is_said(images: Path, tmp_path: Path, export: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        bring_in(export, images, tmp_path / "data")


def test_the_last_task_of_a_strip_counts(
    journal: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, clean, _ = submitted(tasks_of(journal, tmp_path))
    again = {"data": first["data"], "annotations": [{"result": []}]}
    nobody = {"data": clean["data"], "annotations": []}
    found = bring_in([first, again, nobody], images, tmp_path / "data")
    assert found == {"0.png": ("", "", "", "")}
    assert "1 corrected strips, 1 of them clean; 1 in all; 1 were left out" in capsys.readouterr().out
