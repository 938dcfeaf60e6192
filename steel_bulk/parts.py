"""The Parquet files of a run: each is there whole or not at all, and says which run it is of."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from steel_bulk.locations import Place
from steel_bulk.manifest import Manifest

STRIPS = "strips"
_NAME = re.compile(r"part-(\d{6,})\.parquet")
_READ_AT_ONCE = 16
"""Footers; in a bucket each is a request."""


@dataclass(frozen=True)
class Report:
    """What a part came to."""

    part: int
    strips: int
    refused: int
    defects: int


def part_name(part: int) -> str:
    """Return the file name of a part."""
    return f"part-{part:06d}.parquet"


def part_number(name: str) -> int | None:
    """Return the part that a file name means; None if it means none."""
    found = _NAME.fullmatch(name)
    number = None if found is None else int(found[1])
    return number if number is not None and part_name(number) == name else None


def write_part(strips: Place, part: int, rows: pa.Table, run: str) -> Report:
    """Write a part; one that is there already is replaced by the same rows."""
    refused = sum(status != 200 for status in rows.column("status").to_pylist())
    defects = sum(bool(defect) for defect in rows.column("defect").to_pylist())
    said = {"steel_run": run, "steel_refused": str(refused), "steel_defects": str(defects)}
    buffer = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata(said), buffer, compression="zstd")
    strips.write(part_name(part), buffer.getvalue())
    return Report(part, rows.num_rows, refused, defects)


def finished_parts(strips: Place, manifest: Manifest) -> Iterator[Report]:
    """Look at the footers of what is there and report the parts that are whole and of this run."""
    numbers = [number for name in strips.names() if (number := part_number(name)) is not None]
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="footers") as threads:
        for report in threads.map(lambda number: _read_footer(strips, number, manifest), numbers):
            if report is not None:
                yield report


def _read_footer(strips: Place, part: int, manifest: Manifest) -> Report | None:
    try:
        with strips.open(part_name(part)) as file:
            footer = pq.read_metadata(file)
    except pa.ArrowInvalid:  # cut off, by a disk that lost power say
        return None
    said = footer.metadata or {}
    whole = part < manifest.parts and footer.num_rows == manifest.strips_of(part)
    if not whole or said.get(b"steel_run") != manifest.run.encode():
        return None
    return Report(part, footer.num_rows, int(said[b"steel_refused"]), int(said[b"steel_defects"]))
