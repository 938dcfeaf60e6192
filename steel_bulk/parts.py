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
_COUNTS = ("refused", "blind", "suspects", "defects")
"""Fields of ``PartReport`` that a part's footer holds."""
_CONCURRENCY = 16
"""Footers read at the same time; in a bucket each is a request."""


@dataclass(frozen=True)
class PartReport:
    """Counts of a finished part."""

    part: int
    strips: int
    refused: int
    blind: int
    """Strips that were not inspected since they do not look like steel."""
    suspects: int
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
    status, verdict = rows.column("status").to_pylist(), rows.column("verdict").to_pylist()
    refused = sum(one != 200 for one in status)
    report = PartReport(
        part,
        rows.num_rows,
        refused,
        blind=verdict.count("not_inspected") - refused,
        suspects=verdict.count("suspect"),
        defects=sum(bool(defect) for defect in rows.column("defect").to_pylist()),
    )
    counts = {f"steel_{name}": str(getattr(report, name)) for name in _COUNTS}
    buffer = io.BytesIO()
    table = rows.replace_schema_metadata({**(rows.schema.metadata or {}), "steel_run": run, **counts})
    pq.write_table(table, buffer, compression="zstd")
    strips.write(part_name(part), buffer.getvalue())
    return report


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
    counts = {name: int(metadata[f"steel_{name}".encode()]) for name in _COUNTS}
    return PartReport(part, footer.num_rows, **counts)
