"""Kaggle's submission file."""

import csv
from pathlib import Path

from service.masks.submission import write_submission


def test_a_name_that_is_not_utf8_gets_escapes(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    names = ["größe.png", "\udcff.png", "a\nb.png", 'quo"te,.png']
    write_submission(path, [(name, 1, "1 2") for name in names])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["ImageId"] for row in rows] == ["größe.png", "\\udcff.png", "a\nb.png", 'quo"te,.png']
    assert {row["EncodedPixels"] for row in rows} == {"1 2"}
