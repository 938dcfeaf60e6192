"""Versions of files, with a clock of the test."""

import os
from pathlib import Path

import pytest

from steel_cli.answer import Strip
from steel_cli.scanner import Scanner, is_unfinished

INTERVAL, SETTLE = 1.0, 10.0


class Camera:
    """A folder with its scanner; each scan is a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[str] = []
        self.now = 0.0
        self.scanner = Scanner(
            self.folder,
            self.folder / "out",
            interval=INTERVAL,
            settle=SETTLE,
            say=self.messages.append,
            clock=lambda: self.now,
        )

    def write(self, data: bytes, name: str = "a.png") -> None:
        (self.folder / name).write_bytes(data)

    def scan(self, most: int = 1 << 20) -> list[bytes]:
        self.now += 1
        return [strip.data for strip in self.scanner.scan(most)]


@pytest.fixture
def camera(tmp_path: Path) -> Camera:
    return Camera(tmp_path)


def test_a_file_is_found_once_it_does_not_change(camera: Camera) -> None:
    for length in range(1, 5):
        camera.write(b"x" * length)
        assert camera.scan() == []
    assert camera.scan() == [b"xxxx"]
    assert camera.scan() == []


def test_a_file_of_the_same_size_is_another_version(camera: Camera) -> None:
    """A ring buffer: every name is written again and again, with and without the old inode."""
    for data in (b"one", b"two", b"one", b"six"):
        camera.write(data)
        assert (camera.scan(), camera.scan()) == ([], [data])
    (camera.folder / "next.tmp").write_bytes(b"ten")
    (camera.folder / "next.tmp").replace(camera.folder / "a.png")
    assert (camera.scan(), camera.scan()) == ([], [b"ten"])


def test_a_copy_that_keeps_the_time_is_another_version(camera: Camera) -> None:
    camera.write(b"one")
    times = (camera.folder / "a.png").stat()
    camera.scan()
    assert camera.scan() == [b"one"]
    camera.write(b"two")
    os.utime(camera.folder / "a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (camera.scan(), camera.scan()) == ([], [b"two"])


def test_the_same_content_again_is_no_version(camera: Camera) -> None:
    camera.write(b"one")
    camera.scan()
    assert camera.scan() == [b"one"]
    camera.write(b"one")
    (camera.folder / "a.png").touch()
    assert [camera.scan() for _ in range(3)] == [[], [], []]


def test_a_preallocated_file_is_not_read_while_its_end_is_missing(camera: Camera) -> None:
    camera.write(b"head" + bytes(5000))
    assert [camera.scan() for _ in range(5)] == [[]] * 5  # a pause of the copy
    camera.write(b"head" + b"x" * 5000)
    assert (camera.scan(), camera.scan()) == ([], [b"head" + b"x" * 5000])


@pytest.mark.parametrize("data", [b"", b"black" + bytes(5000)])
def test_a_file_that_stays_empty_or_ends_in_zeros_is_found_late(camera: Camera, data: bytes) -> None:
    camera.write(data)
    found = [camera.scan() for _ in range(14)]
    assert found == [[]] * 10 + [[data]] + [[]] * 3


def test_a_scan_is_bounded_and_the_next_goes_on(camera: Camera) -> None:
    for number in range(4):
        camera.write(bytes([number + 1]) * 10, f"{number}.png")
    camera.scan()
    assert len(camera.scan(0)) == 0
    assert len(camera.scan(15)) == 2
    assert len(camera.scan(15)) == 2
    assert camera.scan() == []


def test_what_is_no_file_or_no_image_is_left_out(camera: Camera) -> None:
    os.mkfifo(camera.folder / "fifo.png")
    (camera.folder / "folder.png").mkdir()
    (camera.folder / "out").mkdir()
    for name in ("notes.txt", "out/picture.png", "line\n2.png", "\udcff.png"):
        camera.write(name.encode("utf-8", "surrogateescape"), name)
    camera.scan()
    assert sorted(camera.scan()) == [b"line\n2.png", b"\xff.png"]


def test_a_file_that_cannot_be_read_is_said_once_and_read_later(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera.write(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(PermissionError(13, "busy")))
        assert [camera.scan() for _ in range(3)] == [[]] * 3
    assert len(camera.messages) == 1
    assert "busy" in camera.messages[0]
    assert camera.scan() == [b"one"]


def test_a_folder_that_goes_away_may_come_back(camera: Camera) -> None:
    camera.write(b"one")
    camera.scan()
    assert camera.scan() == [b"one"]
    away = camera.folder.with_name("away")
    camera.folder.rename(away)
    assert (camera.scan(), camera.scan()) == ([], [])
    assert len(camera.messages) == 1
    away.rename(camera.folder)
    camera.write(b"two", "b.png")
    assert (camera.scan(), camera.scan()) == ([], [b"two"])


@pytest.mark.parametrize(
    ("early", "late", "unfinished"),
    [
        (b"", b"abcdef", True),
        (b"abc", b"abcdef", True),
        (b"abc\0\0\0", b"abcdef", True),
        (b"abd", b"abcdef", False),
        (b"abcdefg", b"abcdef", False),
    ],
)
def test_a_part_of_a_later_version_is_unfinished(early: bytes, late: bytes, unfinished: bool) -> None:
    assert is_unfinished(Strip("a", early, "1"), Strip("a", late, "2")) is unfinished
