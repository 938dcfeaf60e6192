"""Which strips an archive holds, written down once: ``listing.parquet``, a row group for each part."""

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
from steel_bulk.locations import Place, open_place, split_uri
from steel_client.errors import SteelError

LISTING = "listing.parquet"
_SCHEMA = pa.schema([("file", pa.string())])


@dataclass(frozen=True)
class Source:
    """Where the strips are named."""

    root: str
    """Path or URI of the folder that names are relative to."""
    listed_in: str | None
    """Path or URI of the list; None if all of ``root`` is meant."""


@dataclass(frozen=True)
class Listed:
    """What a listing came to."""

    strips: int
    sha256: str
    """Of the names, a line each."""


def find_source(text: str) -> Source:
    """Tell a folder from a list.

    Raises:
        SteelError: if there is neither, or it is an image.
    """
    place = open_place(text)
    kind = place.kind()
    if kind == fs.FileType.Directory:
        return Source(text.rstrip("/") or "/", None)
    if kind != fs.FileType.File:
        raise SteelError(f"there is no folder and no list at {text}")
    if _is_image(text):
        raise SteelError(f"{text} is an image; a folder, or a list that names an image a line, is wanted")
    return Source(split_uri(text)[0], text)


def list_names(source: Source) -> Iterator[str]:
    """Name strips as rows will: those of a folder relative to it, those of a list as it names them, once.

    Raises:
        SteelError: if the list cannot be read.
    """
    if source.listed_in is None:
        place = open_place(source.root)
        yield from _walk_disk(Path(place.path)) if place.local else _walk(place, "")
        return
    seen: set[bytes] = set()
    for line in list_text(source).split("\n"):
        name = line.removesuffix("\r")
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()  # long names need not be kept
        if name.strip() and digest not in seen:
            seen.add(digest)
            yield name


def list_text(source: Source) -> str:
    """Read a list.

    Raises:
        SteelError: if it is not there, or no UTF-8.
    """
    folder, name = split_uri(str(source.listed_in))
    data = open_place(folder).read(name)
    if data is None:
        raise SteelError(f"there is no list at {source.listed_in}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SteelError(f"the list {source.listed_in} is not UTF-8: {error}") from error


def write_listing(names: Iterator[str], out: Place, strips_per_part: int) -> Listed:
    """Write names as they come; memory holds those of one part.

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
    return Listed(strips, digest.hexdigest())


class Listing:
    """A listing that was written.

    Args:
        out: where it lies.
    """

    def __init__(self, out: Place) -> None:
        self._file: Any = pq.ParquetFile(out.open(LISTING))

    def names(self, part: int) -> list[str]:
        """Name the strips of a part, in order."""
        names: list[str] = self._file.read_row_group(part).column("file").to_pylist()
        return names


def where(root: str, name: str) -> tuple[str, str]:
    """Return the folder and the name in it at which a listed strip lies."""
    if "://" in name or name.startswith("/"):
        return split_uri(name)
    return root, name


def _walk_disk(folder: Path) -> Iterator[str]:
    """Walk a folder's files in order; memory holds the names of one folder and of those above it."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if _is_image(name):
                yield (Path(at) / name).relative_to(folder).as_posix()


def _walk(place: Place, prefix: str) -> Iterator[str]:
    """Do the same in a bucket."""
    found = place.files.get_file_info(fs.FileSelector(place.path))
    for one in sorted(found, key=lambda one: str(one.base_name)):
        if one.type == fs.FileType.Directory:
            yield from _walk(place.below(one.base_name), f"{prefix}{one.base_name}/")
        elif _is_image(one.base_name):
            yield prefix + one.base_name


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
