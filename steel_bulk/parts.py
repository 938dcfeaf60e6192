"""Parquet files of a run: each exists whole or not at all, and names its run."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from steel_bulk.locations import Location
from steel_bulk.manifest import Manifest

STRIPS = "strips"
_NAME = re.compile(r"part-(\d{6,})\.parquet")
_CONCURRENCY = 16
"""Footers read at the same time; in a bucket each is a request."""


@dataclass(frozen=True)
class PartReport:
    """Counts of a finished part."""

    part: int
    strips: int
    refused: int
    defects: int


def part_name(part: int) -> str:
    """Return the file name of a part."""
    return f"part-{part:06d}.parquet"


def part_number(name: str) -> int | None:
    """Return the part of a file name; None if it is not one of a part."""
    found = _NAME.fullmatch(name)
    number = None if found is None else int(found[1])
    return number if number is not None and part_name(number) == name else None


def write_part(strips: Location, part: int, rows: pa.Table, run: str) -> PartReport:
    """Write a part; one that exists already is replaced by the same rows."""
    refused = sum(status != 200 for status in rows.column("status").to_pylist())
    defects = sum(bool(defect) for defect in rows.column("defect").to_pylist())
    metadata = {"steel_run": run, "steel_refused": str(refused), "steel_defects": str(defects)}
    buffer = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata(metadata), buffer, compression="zstd")
    strips.write(part_name(part), buffer.getvalue())
    return PartReport(part, rows.num_rows, refused, defects)


def finished_parts(strips: Location, manifest: Manifest) -> Iterator[PartReport]:
    """Read the footers of all files; yield the parts that are whole and of this run."""
    numbers = [number for name in strips.names() if (number := part_number(name)) is not None]
    with ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="footers") as threads:
        for report in threads.map(lambda number: _read_footer(strips, number, manifest), numbers):
            if report is not None:
                yield report


def _read_footer(strips: Location, part: int, manifest: Manifest) -> PartReport | None:
    try:
        with strips.open(part_name(part)) as file:
            footer = pq.read_metadata(file)
    except pa.ArrowInvalid:  # truncated, for instance by a disk that lost power
        return None
    metadata = footer.metadata or {}
    whole = part < manifest.parts and footer.num_rows == manifest.strips_of(part)
    if not whole or metadata.get(b"steel_run") != manifest.run.encode():
        return None
    return PartReport(part, footer.num_rows, int(metadata[b"steel_refused"]), int(metadata[b"steel_defects"]))
