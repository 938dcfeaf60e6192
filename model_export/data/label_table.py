"""Kaggle's table of labels, ``train.csv``, as people and their spreadsheets write it."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_export.errors import DataError

Key = int | str
"""A class as a label file names it: by its id or by its name."""

_LONGEST_FIELD = 2**31 - 1
"""Characters; Python's own limit is 131,072, and the code of a frame of many small defects is longer."""
_ROLES: Mapping[str, frozenset[str]] = {
    "image": frozenset(
        ("imageid", "image", "imagename", "filename", "file", "img", "imagefile", "imagepath")
    ),
    "class": frozenset(("classid", "class", "classname", "label", "category", "categoryid", "defect")),
    "code": frozenset(("encodedpixels", "rle", "encodedpixel", "maskrle", "rlemask", "mask", "pixels")),
    "both": frozenset(("imageidclassid",)),
}
"""Headers by what they mean; only their letters count."""
_NOTHING = frozenset(("", "nan", "none", "null", "na", "n/a", "<na>", "-1", "-1.0", "[]"))
"""In lower case: the ways to write that there is no mask, or no class."""
_DELIMITERS = {
    ",": "",
    ";": "semicolons between fields",
    "\t": "tabs between fields",
    "|": "bars between fields",
}
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row: the mask of a class on an image, or that there is none."""

    line: int
    name: str
    """Of the image, as it is written."""
    kind: Key | None
    """Class; None if the row names none, which says that the image is clean."""
    code: str
    """Kaggle's run-length code; empty if the image does not show the class."""


@dataclass(frozen=True)
class LabelTable:
    """The rows of a table, and how it deviates from Kaggle's."""

    rows: Sequence[LabelRow]
    notes: Sequence[str]


def is_label_table(path: Path) -> bool:
    """Return whether a file's first line has the columns of a table of labels."""
    try:
        with _open(path) as (file, _):
            header = file.readline(10_000)
    except (OSError, UnicodeError, csv.Error):
        return False
    return any(_columns(_split(header, delimiter)) is not None for delimiter in _DELIMITERS)


def read_label_table(path: Path, *, one_class: bool = False) -> LabelTable:
    """Read a table of labels.

    The columns are ``ImageId,ClassId,EncodedPixels`` with a row per mask or per instance, or the older
    ``ImageId_ClassId,EncodedPixels`` with a row for each class of an image, empty where there is no mask.
    Byte-order marks, line ends, delimiters, spaces, the case of headers, further columns, repeated rows and
    the ways to write *no mask* (``nan``, ``-1``, nothing) make no difference.

    Args:
        path: the file.
        one_class: whether a table without classes is one of class 1.

    Raises:
        DataError: naming the line, if a row cannot be understood.
        OSError: if the file cannot be read.
    """
    try:
        with _open(path) as (file, encoding):
            return _read(path, file, encoding, one_class)
    except UnicodeError as error:
        raise DataError(f"{path} is not text: {error}") from error


@contextmanager
def _open(path: Path) -> Iterator[tuple[io.TextIOBase, str]]:
    with path.open("rb") as raw:
        start = raw.read(3)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")
    # Names of strips may be any bytes.
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    with path.open(newline="", encoding=encoding, errors=errors) as file:
        yield file, encoding


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the limit of Python's csv, which is one for the whole process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _split(header: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"') for name in header.rstrip("\r\n").split(delimiter)]


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """Return the column of each role; None if the header is none of a table of labels.

    Raises:
        DataError: if two columns mean the same.
    """
    found: dict[str, int] = {}
    for number, name in enumerate(header):
        letters = re.sub(r"[^a-z]", "", name.casefold())
        for role, names in _ROLES.items():
            if letters in names:
                if role in found:
                    return None
                found[role] = number
    if "code" not in found or not {"image", "both"} & found.keys():
        return None
    return found


def _read(path: Path, file: io.TextIOBase, encoding: str, one_class: bool) -> LabelTable:
    header = file.readline()
    delimiter = next((one for one in _DELIMITERS if _columns(_split(header, one)) is not None), None)
    if delimiter is None:
        got = [name for name in _split(header, ",") if name]
        raise DataError(
            f"{path}: expected the columns ImageId, ClassId, EncodedPixels or ImageId_ClassId, "
            f"EncodedPixels, got {', '.join(map(repr, got))[:200] or 'an empty file'}"
        )
    names = _split(header, delimiter)
    columns = _columns(names)
    if columns is None or ("both" not in columns and "class" not in columns and not one_class):
        raise DataError(f"{path}: expected a column ClassId, got {', '.join(names)}")
    notes = _header_notes(header, names, columns, delimiter, encoding)
    padded = f"{delimiter} " in header and delimiter != "\t"
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=padded, strict=True)
    counts: Counter[str] = Counter()
    rows: dict[tuple[str, Key | None, str], LabelRow] = {}
    try:
        with _long_fields():
            for fields in reader:
                line = reader.line_num + 1
                if not any(field.strip() for field in fields):
                    continue
                row = _row(path, line, fields, len(names), columns, delimiter, counts)
                if row.name.rsplit("/", 1)[-1].startswith("._"):
                    counts["rows of macOS's ._ files, ignored"] += 1
                    continue
                key = (row.name, row.kind, row.code)
                if key in rows:
                    counts["rows that repeat another"] += bool(row.code)
                    continue
                rows[key] = row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + 1}: not a valid table ({error})") from error
    return LabelTable(
        list(rows.values()), [*notes, *(f"{text}: {count}" for text, count in counts.items() if count)]
    )


def _header_notes(
    header: str, names: Sequence[str], columns: Mapping[str, int], delimiter: str, encoding: str
) -> list[str]:
    notes = []
    if encoding != "utf-8":
        notes.append(f"a byte-order mark ({encoding.removesuffix('-sig').upper()})")
    if _DELIMITERS[delimiter]:
        notes.append(_DELIMITERS[delimiter])
    if header.endswith("\r\n") or header.endswith("\r"):
        notes.append("line ends of Windows" if header.endswith("\n") else "line ends of old Macs")
    kaggle = {"ImageId", "ClassId", "EncodedPixels", "ImageId_ClassId"}
    other = [names[number] for number in columns.values() if names[number] not in kaggle]
    if other:
        notes.append(f"the columns are called {', '.join(other)}")
    more = [name for number, name in enumerate(names) if number not in columns.values()]
    if any(more):
        notes.append(f"other columns are ignored: {', '.join(name for name in more if name)}")
    if "both" in columns:
        notes.append("Kaggle's older form, ImageId_ClassId")
    elif "class" not in columns:
        notes.append("there is no column of classes: every mask is of class 1")
    return notes


def _row(
    path: Path,
    line: int,
    fields: Sequence[str],
    expected: int,
    columns: Mapping[str, int],
    delimiter: str,
    counts: Counter[str],
) -> LabelRow:
    if any(field.strip() for field in fields[expected:]) or len(fields) <= max(
        number for role, number in columns.items() if role != "code"
    ):
        raise DataError(f"{path}, line {line}: expected {expected} fields, got {len(fields)}")
    if "both" in columns:
        name, joint, class_text = fields[columns["both"]].strip().rpartition("_")
        if not joint:
            raise DataError(
                f"{path}, line {line}: expected an image and a class, as a.jpg_1, got {class_text!r}"
            )
    else:
        name = fields[columns["image"]]
        class_text = fields[columns["class"]] if "class" in columns else "1"
    if not name.strip():
        raise DataError(f"{path}, line {line}: expected the name of an image, got {name!r}")
    code = fields[columns["code"]].strip() if columns["code"] < len(fields) else ""
    if code.casefold() in _NOTHING:
        if code:
            counts[f"masks written as {code}, so none"] += 1
        code = ""
    kind = _class_of(path, line, class_text.strip(), delimiter, counts)
    if kind is None and code:
        raise DataError(f"{path}, line {line}: expected a class for the mask of {name}, got {class_text!r}")
    return LabelRow(line, name, kind, code)


def _class_of(path: Path, line: int, text: str, delimiter: str, counts: Counter[str]) -> Key | None:
    if text.casefold() in _NOTHING:
        return None
    number = text.replace(",", ".") if delimiter == ";" else text
    try:
        value = float(number)
    except ValueError:
        return text
    if not math.isfinite(value) or not value.is_integer():
        raise DataError(f"{path}, line {line}: expected a class, a whole number or a name, got {text!r}")
    if not text.isdecimal():
        counts["classes written as decimal numbers"] += 1
    return int(value)


def join_codes(codes: Sequence[str]) -> str:
    """Return the run-length code of the union of masks.

    A code that is not valid stays as it is, so that decoding the result says what is wrong with it.
    """
    filled = list(dict.fromkeys(code for code in codes if code))
    if len(filled) < 2:
        return filled[0] if filled else ""
    runs: list[tuple[int, int]] = []
    for code in filled:
        words = code.split()
        if len(words) % 2 or not all(word.isdecimal() for word in words):
            return code
        numbers = [int(word) for word in words]
        ends = [start + length for start, length in zip(numbers[::2], numbers[1::2], strict=True)]
        starts = [*numbers[2::2], ends[-1]]
        if any(start < end for start, end in zip(starts, ends, strict=True)) or 0 in numbers:
            return code
        runs += zip(numbers[::2], ends, strict=True)
    joined: list[list[int]] = []
    for start, end in sorted(runs):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return " ".join(f"{start} {end - start}" for start, end in joined)
