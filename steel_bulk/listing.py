"""Listing of an archive's strips, written once: ``listing.parquet``, one row group per part."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from service.images.suffixes import IMAGE_SUFFIXES
from steel_bulk.locations import Location, open_location, split_uri
from steel_bulk.names import escape
from steel_client.errors import SteelError

LISTING = "listing.parquet"
_SCHEMA = pa.schema([("file", pa.string())])


@dataclass(frozen=True)
class Source:
    """A folder of strips, or a list of them."""

    root: str
    """Path or URI of the folder that names are relative to."""
    listed_in: str | None
    """Path or URI of the list; None for all of ``root``."""


@dataclass(frozen=True)
class ListingSummary:
    """Size and checksum of a listing."""

    strips: int
    sha256: str
    """Of the names, one per line."""


def find_source(text: str) -> Source:
    """Find out whether a path or URI is a folder or a list.

    Raises:
        SteelError: if it is neither.
    """
    kind = open_location(text).kind()
    if kind == fs.FileType.Directory:
        return Source(text.rstrip("/") or "/", None)
    if kind != fs.FileType.File:
        raise SteelError(f"there is no folder and no list at {text}")
    if _is_image(text):
        raise SteelError(f"expected a folder, or a list with one image per line, got the image {text}")
    return Source(split_uri(text)[0], text)


def list_names(source: Source) -> Iterator[str]:
    """Yield names as in the rows: relative to the folder, or as the list has them, without repetitions.

    Raises:
        SteelError: if the list cannot be read.
    """
    if source.listed_in is None:
        location = open_location(source.root)
        yield from _walk_disk(Path(location.path)) if location.local else _walk(location, "")
        return
    seen: set[bytes] = set()
    for line in list_text(source).split("\n"):
        name = line.removesuffix("\r")
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()  # takes less memory than a long name
        if name.strip() and digest not in seen:
            seen.add(digest)
            yield name


def list_text(source: Source) -> str:
    """Read a list.

    Raises:
        SteelError: if it does not exist, or is not UTF-8.
    """
    folder, name = split_uri(str(source.listed_in))
    data = open_location(folder).read(name)
    if data is None:
        raise SteelError(f"there is no list at {source.listed_in}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SteelError(
            f"expected a folder, or a list in UTF-8 with one image per line, got {source.listed_in}; unpack "
            f"archives first: {error}"
        ) from error


def write_listing(names: Iterator[str], out: Location, strips_per_part: int) -> ListingSummary:
    """Write names as they arrive; memory holds those of one part.

    Raises:
        SteelError: if a name is not UTF-8.
    """
    strips, digest = 0, hashlib.sha256()
    with out.writing(LISTING) as file, pq.ParquetWriter(file, _SCHEMA) as writer:
        while group := list(islice(names, strips_per_part)):
            try:
                digest.update("".join(f"{name}\n" for name in group).encode())
            except UnicodeEncodeError as error:
                raise SteelError(f"a file's name is not UTF-8: {error.object!r}") from error
            writer.write_table(pa.table({"file": group}, schema=_SCHEMA), row_group_size=strips_per_part)
            strips += len(group)
    return ListingSummary(strips, digest.hexdigest())


class Listing:
    """Reader of a listing.

    Args:
        out: folder of the run.
    """

    def __init__(self, out: Location) -> None:
        self._file: Any = pq.ParquetFile(out.open(LISTING))

    def names(self, part: int) -> list[str]:
        """Return the names of a part's strips, in order."""
        names: list[str] = self._file.read_row_group(part).column("file").to_pylist()
        return names


def locate(root: str, name: str) -> tuple[str, str]:
    """Return the folder of a listed strip, and its name in it."""
    if "://" in name or name.startswith("/"):
        return split_uri(name)
    return root, name


def _walk_disk(folder: Path) -> Iterator[str]:
    """Walk a folder in order; memory holds the names of one folder and of its parents."""
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if _is_image(name):
                yield escape((Path(path) / name).relative_to(folder).as_posix())


def _walk(location: Location, prefix: str) -> Iterator[str]:
    """Walk a bucket in order."""
    found = location.files.get_file_info(fs.FileSelector(location.path))
    for info in sorted(found, key=lambda info: str(info.base_name)):
        if info.type == fs.FileType.Directory:
            yield from _walk(location.subfolder(info.base_name), f"{prefix}{info.base_name}/")
        elif _is_image(info.base_name):
            yield prefix + info.base_name


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
