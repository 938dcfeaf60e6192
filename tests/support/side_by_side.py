"""Two workers of pytest-xdist: which files go together, which come first, and which tests run alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# One Docker engine with one port; a Ray takes both processors.
_TOGETHER = {"tests/docker/": "docker", "tests/steel_ray/": "ray", "tests/steel_bulk/test_kills.py": "ray"}
# What takes long and is not divided comes first, so that short files fill up the end.
_FIRST = ("tests/steel_ray", "tests/steel_bulk/test_kills", "tests/docker", "tests/model/", "tests/hostile")


def scope(test: str) -> str:
    """Return what a worker takes at a time: the file of a test, or the files that go together."""
    file = test.split("::", 1)[0]
    return next((name for start, name in _TOGETHER.items() if file.startswith(start)), file)


def rank(item: pytest.Item) -> int:
    """Return the place of a test in the order of work: the smallest first."""
    return next((place for place, start in enumerate(_FIRST) if item.nodeid.startswith(start)), len(_FIRST))


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until no test runs alone, or, ``alone``, until no other test runs; locks are files in a folder."""
    with (folder / "gate.lock").open("w") as gate, (folder / "turn.lock").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)  # no test begins while one waits to be alone
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
