"""Versions of the files in a folder, each found once and when it is complete."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from steel_cli.answer import Strip, printable
from steel_cli.images import find_images
from steel_client.errors import UnreadableFileError
from steel_client.files import read_file

_TAIL_BYTES = 1024
"""A file that ends in as many zeros may have been allocated whole and be copied still, as SMB does."""

Stamp = tuple[int, int, int, int]


@dataclass
class _Seen:
    """A file as it was in the last scan."""

    stamp: Stamp
    since: float
    """Time of the scan that saw this stamp first."""
    done: bool = False
    doubtful: bool = False


class Scanner:
    """Finds new versions of the images in a folder.

    A version is complete once its size, times and inode did not change for ``interval`` seconds and while it
    was read; one that is empty or ends in zeros, after ``settle`` seconds. Content that equals the version
    before it is none.

    Args:
        folder: to search, with its subfolders.
        out: folder of the results, left out.
        interval: seconds.
        settle: seconds.
        say: takes messages for the operator.
        clock: for tests.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        *,
        interval: float,
        settle: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._out = out
        self._interval = interval
        self._settle = settle
        self._last: dict[str, str] = {}
        """sha256 of the last version, by name."""
        self._say = say
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._said: set[str] = set()

    def scan(self, most_bytes: int) -> list[Strip]:
        """Return new versions until they hold ``most_bytes``; the next scan returns the others."""
        now = self._clock()
        self._look(now)
        found: list[Strip] = []
        for name, seen in self._seen.items():
            wait = self._settle if seen.doubtful else self._interval
            if seen.done or now - seen.since < wait:
                continue
            if most_bytes <= 0:
                break
            for strip in self._read(name, seen, now):
                found.append(strip)
                most_bytes -= len(strip.data)
        return found

    def is_settled(self, name: str) -> bool:
        """Return whether a file did not change for ``settle`` seconds, or is gone."""
        seen = self._seen.get(name)
        return seen is None or self._clock() - seen.since >= self._settle

    def _look(self, now: float) -> None:
        before, self._seen = self._seen, {}
        for name in find_images(self._folder, self._out, self._say_once):
            stamp = _stamp(self._folder / name)
            if stamp is None:
                continue
            seen = before.get(name)
            self._seen[name] = seen if seen is not None and seen.stamp == stamp else _Seen(stamp, now)

    def _read(self, name: str, seen: _Seen, now: float) -> Iterator[Strip]:
        path = self._folder / name
        try:
            data = read_file(path)
        except UnreadableFileError as error:
            self._say_once(error)
            return
        if _stamp(path) != seen.stamp:
            return
        if now - seen.since < self._settle and not data[-_TAIL_BYTES:].strip(b"\0"):
            seen.doubtful = True
            return
        seen.done = True
        sha256 = hashlib.sha256(data).hexdigest()
        if self._last.get(name) != sha256:
            self._last[name] = sha256
            yield Strip(name, data, sha256)

    def _say_once(self, error: Exception) -> None:
        message = f"trying again: {printable(str(error))}"
        if message not in self._said:
            self._said.add(message)
            self._say(message)


def is_unfinished(strip: Strip, later: Strip) -> bool:
    """Return whether a version is the part of a later one that had been copied until then."""
    return later.data.startswith(strip.data.rstrip(b"\0"))


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with a file's content; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
