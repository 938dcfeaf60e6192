"""Writers of other tools' formats, from a journal."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask

from service.files import whole_file
from service.masks.submission import CLASS_IDS, HEIGHT, WIDTH, write_submission
from steel_cli.answer import printable
from steel_cli.journal import read_journal
from steel_client import rle
from steel_client.errors import ConfigurationError
from steel_client.model_info import ModelInfo

Classes = Sequence[dict[str, Any]]
"""Id and name of each class of a model, in order."""


def check_kaggle(model: ModelInfo) -> None:
    """Check that a model's answers can be a submission.

    Raises:
        ConfigurationError: if it has other classes than Kaggle's, or does not take strips of Kaggle's size.
    """
    ids = tuple(one.id for one in model.classes)
    if (ids, model.width, model.height) != (CLASS_IDS, WIDTH, HEIGHT):
        raise ConfigurationError(
            f"--write kaggle: expected a model of Kaggle's classes, {_listed(CLASS_IDS)} on {WIDTH}x{HEIGHT} "
            f"pixels, got classes {_listed(ids)} on {model.width}x{model.height}; the format coco holds any"
        )


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def write_kaggle(journal: Path, target: Path) -> None:
    """Write Kaggle's submission: one row per image and class.

    Raises:
        ConfigurationError: if an image has another size than Kaggle's, in which pixels have other numbers.
    """
    write_submission(target, _submission_rows(journal))


def _submission_rows(journal: Path) -> Iterator[tuple[str, int, str]]:
    for line in read_journal(journal):
        found = line.get("classes", [])
        if found and (line["width"], line["height"]) != (WIDTH, HEIGHT):
            raise ConfigurationError(
                f"--write kaggle: expected images of {WIDTH}x{HEIGHT} pixels, got one of "
                f"{line['width']}x{line['height']}, {printable(line['file'])}; the format coco holds any"
            )
        yield from ((line["file"], one["class_id"], one["rle"]) for one in found)


def write_coco(journal: Path, target: Path, classes: Classes, name_of: Callable[[str], str] = str) -> None:
    """Write COCO's JSON: one annotation per image and present class, its mask compressed.

    Args:
        journal: of the predictions.
        target: the file to write.
        classes: of the model; the categories.
        name_of: gives the path of the file that a tool shows, by that of the predicted one.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for line in read_journal(journal):
        if "classes" not in line:
            continue
        image_id = len(images) + 1
        size = {"width": line["width"], "height": line["height"]}
        images.append({"id": image_id, "file_name": name_of(line["file"]), **size})
        for found in line["classes"]:
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
        "categories": list(classes),
    }
    with whole_file(target) as unfinished:
        unfinished.write_text(json.dumps(document), encoding="utf-8")


def _encode(mask: rle.Mask) -> dict[str, Any]:
    """Encode a mask, bool ``[height, width]``, in COCO's compressed run-length code."""
    code = pycocotools.mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}
