"""Tables that people write: CSV with a header, in UTF-8, as spreadsheets save it."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_export.errors import DataError


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, Mapping[str, str]]]:
    """Read the rows of a table.

    A byte order mark, and semicolons or tabs between the columns, are as good as commas.

    Args:
        path: of the file.
        columns: those that it needs; their case does not matter, others are left out.

    Returns:
        Per row that is not blank, the number of its last line and its values by column, without blanks
        around them.

    Raises:
        DataError: naming the file, and the line, if it is no such table.
        OSError: if it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected a text in UTF-8, got other bytes") from error
    lines = text.splitlines(keepends=True)
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter)
    rows: list[tuple[int, Mapping[str, str]]] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        folded = [name.casefold() for name in names]
        places = [folded.index(name.casefold()) if name.casefold() in folded else -1 for name in columns]
        if min(places) < 0:
            raise DataError(
                f"{path}: expected the columns {','.join(columns)}, got {','.join(names) or 'none'}"
            )
        for row in reader:
            if not any(value.strip() for value in row):
                continue
            if len(row) <= max(places):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected {len(names)} values, got {len(row)}"
                )
            values = {name: row[place].strip() for name, place in zip(columns, places, strict=True)}
            rows.append((reader.line_num, values))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: expected a table: {error}") from error
    return rows
