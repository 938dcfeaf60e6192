"""From a journal to the files that other tools read."""

import json
from pathlib import Path
from typing import Any

import pycocotools.mask

from service.geometry import HEIGHT, WIDTH
from service.masks import rle
from service.masks.formats import write
from service.masks.submission import write_submission
from steel_cli.journal import read_journal


def write_kaggle(journal: Path, target: Path) -> None:
    """Write Kaggle's submission: a row per image and class."""
    write_submission(
        target,
        (
            (line["file"], found["class_id"], found["rle"])
            for line in read_journal(journal)
            for found in line.get("classes", [])
        ),
    )


def write_coco(journal: Path, target: Path) -> None:
    """Write COCO's JSON: an annotation per image and class that is present, masks compressed."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[int, str] = {}
    for line in read_journal(journal):
        if "classes" not in line:
            continue
        image_id = len(images) + 1
        images.append({"id": image_id, "file_name": line["file"], "width": WIDTH, "height": HEIGHT})
        for found in line["classes"]:
            categories[found["class_id"]] = found["name"]
            if not found["present"]:
                continue
            mask = rle.decode(found["rle"], height=HEIGHT, width=WIDTH)
            code = write(mask, "coco_rle")["coco_rle"]
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
    target.write_text(json.dumps(document), encoding="utf-8")
