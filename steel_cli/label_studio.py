"""Writer of Label Studio's tasks, from a journal: predicted masks, to be corrected with the brush."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.files import whole_file
from service.masks import label_studio, rle
from steel_cli.journal import read_journal
from steel_cli.writers import Classes


def write_label_studio(
    journal: Path, folder: Path, classes: Classes, images: str, name_of: Callable[[str], str] = str
) -> None:
    """Write ``label_studio.json``, the tasks, and ``label_studio.xml``, their labeling interface.

    Args:
        journal: of the predictions.
        folder: to write into.
        classes: of the model; the labels.
        images: prefix of an image's path in its URL.
        name_of: gives the path of the file that the tool shows, by that of the predicted one.
    """
    tasks: list[dict[str, Any]] = []
    for line in read_journal(journal):
        if "classes" not in line:
            continue
        # The path beside the URL identifies the image wherever Label Studio stores it.
        name = name_of(line["file"])
        data = {"image": images + quote(os.fsencode(name)), "file": name}
        tasks.append({"data": data, "predictions": [_prediction(line)]})
    with whole_file(folder / "label_studio.json") as unfinished:
        unfinished.write_text(json.dumps(tasks), encoding="utf-8")
    with whole_file(folder / "label_studio.xml") as unfinished:
        names = {one["id"]: one["name"] for one in classes}
        unfinished.write_text(label_studio.labelling_interface(names), encoding="utf-8")


def _prediction(line: dict[str, Any]) -> dict[str, Any]:
    model = line["model"]
    return {
        "model_version": f"{model['name']} {model['version']}",
        "score": max(found["probability"] for found in line["classes"]),
        "result": [
            _region(found, line["width"], line["height"]) for found in line["classes"] if found["present"]
        ],
    }


def _region(found: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    mask = rle.decode(found["rle"], height=height, width=width)
    return label_studio.brush_region(found["class_id"], found["name"], found["probability"], mask)
