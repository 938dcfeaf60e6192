"""Labels in Kaggle's table."""

from pathlib import Path

from model_export.data.label_table import read_label_table
from model_export.labels.parts import Runs
from model_export.labels.source import LabelSource


def read_kaggle_csv(path: Path, *, row_major: bool = False) -> LabelSource:
    """Read a table of labels; an image without a row is clean.

    Args:
        path: of the table.
        row_major: whether its codes number pixels along rows.

    Raises:
        DataError: naming the line, if a row cannot be understood.
    """
    table = read_label_table(path, one_class=True)
    source = LabelSource("kaggle", f"Kaggle's table {path.name}", unlabelled_is_clean=True)
    source.notes += table.notes
    clean_rows = 0
    for row in table.rows:
        labels = source.of(row.name)
        if row.code and row.kind is not None:
            labels.parts.append(Runs(row.kind, row.code, row_major))
        else:
            clean_rows += 1
    several = sum(
        len(labels.parts) > len({part.kind for part in labels.parts if isinstance(part, Runs)})
        for labels in source.labels.values()
    )
    if several:
        source.notes.append(f"images with several rows of a class, e.g. one per instance, joined: {several}")
    if clean_rows:
        source.notes.append(f"rows without a mask: {clean_rows}")
    return source
