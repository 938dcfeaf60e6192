"""Folders and buckets behind one interface."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from steel_client.errors import SteelError


@dataclass(frozen=True)
class Location:
    """A folder, or a prefix in a bucket."""

    files: fs.FileSystem
    path: str
    """As ``files`` reads it, without a slash at its end."""

    @property
    def local(self) -> bool:
        """Whether it is a folder of the operating system."""
        return isinstance(self.files, fs.LocalFileSystem)

    def path_of(self, name: str) -> str:
        """Return the path of a name in it."""
        return f"{self.path}/{name}"

    def kind(self) -> fs.FileType:
        """Return whether a folder, a file or nothing is here."""
        return self.files.get_file_info(self.path).type

    def names(self) -> list[str]:
        """Return the names of the files directly in it; none if it does not exist."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.files.get_file_info(selector) if info.is_file)

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it does not exist."""
        try:
            with self.files.open_input_stream(self.path_of(name), compression=None) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def open(self, name: str) -> Any:
        """Open a file for random access.

        Raises:
            OSError: if it cannot be read.
        """
        return self.files.open_input_file(self.path_of(name))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes] | Any]:
        """Open a file that appears whole when the block ends, or not at all.

        On a disk it is written under another name and renamed; a bucket shows an object when its upload is
        complete.
        """
        if not self.local:
            with self.files.open_output_stream(self.path_of(name), compression=None) as file:
                yield file
            return
        target = Path(self.path_of(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        # With a dot, so that readers of the whole folder skip it.
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
            _sync_folder(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a file that appears whole."""
        with self.writing(name) as file:
            file.write(data)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self.files.delete_file(self.path_of(name))

    def subfolder(self, name: str) -> "Location":
        """Return a folder in it."""
        return Location(self.files, self.path_of(name))


def open_location(text: str) -> Location:
    """Find the file system of a path or a URI.

    Raises:
        SteelError: if there is none for it.
    """
    if "://" not in text:
        return Location(fs.LocalFileSystem(), str(Path(text).absolute()))
    try:
        files, path = fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, ValueError, ImportError) as error:
        raise SteelError(f"no file system for {text}: {error}") from error
    return Location(files, path.rstrip("/"))


def split_uri(text: str) -> tuple[str, str]:
    """Split a path or a URI into its folder and its name there."""
    folder, _, name = text.rpartition("/")
    return (folder or ("/" if text.startswith("/") else ".")), name


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
