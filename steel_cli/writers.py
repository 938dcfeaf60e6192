"""Writers of other tools' formats, from a journal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask

from service.files import whole_file
from service.masks.submission import write_submission
from steel_cli.journal import read_journal
from steel_client import rle


def write_kaggle(journal: Path, target: Path) -> None:
    """Write Kaggle's submission: one row per image and class."""
    write_submission(
        target,
        (
            (line["file"], found["class_id"], found["rle"])
            for line in read_journal(journal)
            for found in line.get("classes", [])
        ),
    )


def write_coco(journal: Path, target: Path, name_of: Callable[[str], str] = str) -> None:
    """Write COCO's JSON: one annotation per image and present class, its mask compressed.

    Args:
        journal: of the predictions.
        target: the file to write.
        name_of: gives the path of the file that a tool shows, by that of the predicted one.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[int, str] = {}
    for line in read_journal(journal):
        if "classes" not in line:
            continue
        image_id = len(images) + 1
        size = {"width": line["width"], "height": line["height"]}
        images.append({"id": image_id, "file_name": name_of(line["file"]), **size})
        for found in line["classes"]:
            categories[found["class_id"]] = found["name"]
            if not found["present"]:
                continue
            code = _encode(rle.decode(found["rle"], **size))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": found["class_id"],
                    "segmentation": code,
                    "bbox": pycocotools.mask.toBbox(code).tolist(),
                    "area": found["area"],
                    "score": found["probability"],
                    "iscrowd": 0,
                }
            )
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in sorted(categories.items())],
    }
    with whole_file(target) as unfinished:
        unfinished.write_text(json.dumps(document), encoding="utf-8")


def _encode(mask: rle.Mask) -> dict[str, Any]:
    """Encode a mask, bool ``[height, width]``, in COCO's compressed run-length code."""
    code = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}
