"""A journal of predictions, and its tasks for Label Studio."""

import json
from pathlib import Path
from typing import Any

from steel_cli.label_studio import write_label_studio
from tests.support.tiny_model import TILE, block_rle

NAMES = ("pitting", "vertical line", "scratch", "patch")
CLASSES = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
BLOCK = block_rle(100, 20, 5, 30)
EDGE = "407041 2560"  # the last ten columns


def line(file: str, **codes: str) -> dict[str, Any]:
    """Return a line of the journal; masks by number of their class: ``c3="29 12"``."""
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
    answer = {
        "status": 200,
        "width": TILE[1],
        "height": TILE[0],
        "defect_probability": 0.9,
        "classes": classes,
    }
    return {"file": file, **answer, "model": model}


def write_journal(folder: Path) -> Path:
    """Write the journal of three strips and a file that was refused."""
    lines = [
        line("0.png", c3=BLOCK, c1=EDGE),
        line("line 2/0.png"),
        line("1.png", c4=EDGE),
        {"file": "broken.png", "status": 415, "error": "no image"},
    ]
    path = folder / "predictions.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def tasks_of(journal: Path, folder: Path) -> list[dict[str, Any]]:
    """Write a journal as tasks of Label Studio and read them."""
    write_label_studio(journal, folder, CLASSES, "/data/local-files/?d=strips/")
    tasks: list[dict[str, Any]] = json.loads((folder / "label_studio.json").read_text())
    return tasks
