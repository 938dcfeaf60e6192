"""Kaggle's submission file: a row per image and class."""

import csv
from collections.abc import Iterable
from pathlib import Path

from service.files import whole_file

CLASS_IDS = (1, 2, 3, 4)
"""Classes of the competition."""
HEIGHT, WIDTH = 256, 1600
"""Rows and columns of its images, in which the pixels of the codes are numbered."""
HEADER = ("ImageId", "EncodedPixels", "ClassId")
OLD_HEADER = ("ImageId_ClassId", "EncodedPixels")


def write_submission(path: Path, rows: Iterable[tuple[str, int, str]], *, old_form: bool = False) -> None:
    """Write a submission.

    Args:
        path: the file, replaced if it exists; its folder must exist.
        rows: image name, class id and run-length code, which is empty where there is no mask.
        old_form: columns ``ImageId_ClassId,EncodedPixels`` of the competition's first weeks.
    """
    # A name that is not UTF-8 gets escapes: the file as a whole has to stay readable.
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(OLD_HEADER if old_form else HEADER)
        for name, class_id, code in rows:
            writer.writerow((f"{name}_{class_id}", code) if old_form else (name, code, class_id))
