"""Corrected labels become a data set to train on."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from model_export.data.classes import read_classes
from model_export.data.kaggle import read_kaggle
from model_export.data.severstal import HEIGHT, WIDTH
from model_export.errors import DataError
from model_export.labels.import_labels import ImportConfig, import_labels
from service.files import locked_folder
from steel_cli.writers import write_coco
from tests.support.images import png
from tests.support.journal import BLOCK, CLASSES, EDGE, tasks_of, write_journal
from tests.support.tiny_model import block_rle, block_strip


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "line 2").mkdir(parents=True)
    for number, name in enumerate(("0.png", "1.png", "line 2/0.png")):
        (folder / name).write_bytes(png(block_strip(c3=(number * 10, 0, 5, 5))))
    return folder


def submitted(tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the export of Label Studio after the predictions were submitted unchanged."""
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
    write_coco(journal, tmp_path / "coco.json", CLASSES)
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
        (lambda task: {"type": "rectanglelabels"}, "0.png: expected regions .* got 'rectanglelabels'"),
        (
            lambda task: {"original_width": 800},
            "0.png: its regions are of pictures of 800x256 and of 1600x256 pixels",
        ),
        (lambda task: {"value": {"rle": [1], "brushlabels": ["scratch"]}}, "0.png: the brush code ends"),
        (lambda task: {"value": {"brushlabels": ["scratch"]}}, "not a valid export of Label Studio: task 0"),
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
        ([], "holds no labels of a known format"),
        ({"a": 1}, "holds no labels of a known format"),
        (
            [{"data": {"file": "9.png"}, "annotations": [{"result": []}]}],
            "9.png: there is no image of this name",
        ),
        (
            {
                "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
                "categories": [{"id": 1, "name": "scratch"}],
                "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
            },
            "expected a mask, got a box only",
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
    assert (
        "1 corrected strip, 1 of them clean; 1 in all; 1 not submitted yet and left out"
        in capsys.readouterr().out
    )


def test_names_of_every_byte_come_back(images: Path, tmp_path: Path) -> None:
    names = [os.fsdecode(bytes([byte]) + b"\xff.png") for byte in range(1, 256) if byte not in b"/.\\"]
    strip = (images / "0.png").read_bytes()
    (tmp_path / "odd").mkdir()
    for name in names:
        (tmp_path / "odd" / name).write_bytes(strip)
    tasks = [
        {
            "id": number,
            "data": {"image": quote(os.fsencode(name)), "file": name},
            "annotations": [{"result": []}],
        }
        for number, name in enumerate(names)
    ]
    assert set(bring_in(tasks, tmp_path / "odd", tmp_path / "data")) == set(names)


def renamed(task: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return a task whose labels have other names."""
    for region in task["annotations"][0]["result"]:
        region["value"]["brushlabels"] = [names[name] for name in region["value"]["brushlabels"]]
    return task


def test_a_data_set_takes_no_classes_that_it_does_not_have(
    journal: Path, images: Path, tmp_path: Path
) -> None:
    export = submitted(tasks_of(journal, tmp_path))
    bring_in(export, images, tmp_path / "data")
    before = (tmp_path / "data" / "train.csv").read_bytes()
    with pytest.raises(DataError, match="a class 'rust', expected one of 1 pitting, 2 vertical"):
        bring_in([renamed(export[2], {"patch": "rust"})], images, tmp_path / "data")
    assert (tmp_path / "data" / "train.csv").read_bytes() == before


def test_a_new_data_set_has_the_classes_of_its_labels(journal: Path, images: Path, tmp_path: Path) -> None:
    names = {"pitting": "rust", "scratch": "dent", "patch": "rust"}
    export = [renamed(task, names) for task in submitted(tasks_of(journal, tmp_path))]
    found = bring_in(export, images, tmp_path / "data")
    assert [one.name for one in read_classes(tmp_path / "data")] == ["dent", "rust"]
    assert found == {"0.png": (BLOCK, EDGE), "line 2_0.png": ("", ""), "1.png": ("", EDGE)}
    assert bring_in(export[2:], images, tmp_path / "data") == found


def test_names_of_the_tool_are_in_the_order_of_ids(journal: Path, images: Path, tmp_path: Path) -> None:
    export = submitted(tasks_of(journal, tmp_path))
    bring_in(export, images, tmp_path / "data")
    names = ("rust", "line", "dent", "stain")
    renamed(export[0], {"pitting": "rust", "scratch": "dent"})
    found = bring_in(export[:1], images, tmp_path / "data", class_names=names)
    assert found["0.png"] == (EDGE, "", BLOCK, "")
    with pytest.raises(DataError, match="--class-names: expected 4 names"):
        bring_in(export[:1], images, tmp_path / "data", class_names=("rust", "dent"))


def test_a_second_command_is_kept_out(journal: Path, images: Path, tmp_path: Path) -> None:
    """Each would write the labels that it had read back over those of the other."""
    out = tmp_path / "data"
    out.mkdir()
    export = submitted(tasks_of(journal, tmp_path))
    with locked_folder(out), pytest.raises(DataError, match="another command writes to"):
        bring_in(export, images, out)
    assert bring_in(export, images, out)
