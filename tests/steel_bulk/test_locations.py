"""Files of a run, written whole or not at all."""

from pathlib import Path

import pytest

from steel_bulk.locations import Location, open_location


def test_what_is_not_finished_is_not_there(tmp_path: Path) -> None:
    out = Location(open_location(str(tmp_path)).files, str(tmp_path))
    out.write("part", b"old")

    def cut_off() -> None:
        with out.writing("part") as file:
            file.write(b"ne")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        cut_off()
    assert [path.name for path in tmp_path.iterdir()] == ["part"]
    assert out.read("part") == b"old"
