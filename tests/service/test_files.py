"""Files that are written whole or not at all."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from service.files import locked_folder, whole_file
from tests.support.serving import ROOT


def test_a_file_changes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with whole_file(path) as unfinished:
        unfinished.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_leaves_what_was_there_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write() -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("aft")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*a\.txt"):
        write()
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    with locked_folder(tmp_path), pytest.raises(BlockingIOError), locked_folder(tmp_path):
        pass
    with locked_folder(tmp_path):
        pass


def test_of_two_processes_that_write_at_once_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as unfinished:
        unfinished.write_text("ours, and longer")
        other = "from pathlib import Path; from service.files import whole_file\n"
        other += f"with whole_file(Path({str(path)!r})) as unfinished: unfinished.write_text('theirs')"
        subprocess.run([sys.executable, "-c", other], cwd=ROOT, check=True)
        assert path.read_text() == "theirs"
    assert path.read_text() == "ours, and longer"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
