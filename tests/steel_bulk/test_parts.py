"""Names of parts, and how a listing is cut into them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.schemas import ProfileUsed
from steel_bulk.listing import Listing, write_listing
from steel_bulk.locations import Location, open_location
from steel_bulk.manifest import Manifest, PinnedModel, RunSpec
from steel_bulk.parts import part_name, part_number
from steel_client.errors import SteelError

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1), unique=True, max_size=40
)


def manifest(strips: int, strips_per_part: int) -> Manifest:
    spec = RunSpec(
        source="archive",
        list_sha256=None,
        strips_per_part=strips_per_part,
        model=PinnedModel(name="tiny", version="1", sha256="0", device="cpu"),
        profile=ProfileUsed(name="inspection", class_threshold=(), threshold=(), min_area=()),
        max_file_bytes=1,
        max_pixels=1,
    )
    return Manifest(terms=spec, strips=strips, listing_sha256="", created="")


@given(st.integers(0, 10**9))
def test_a_parts_name_means_its_number(part: int) -> None:
    assert part_number(part_name(part)) == part


@given(st.one_of(st.text(), st.from_regex(r"\.?part-\d*\.parquet(\.tmp)?\n?", fullmatch=True)))
def test_other_names_mean_no_part(name: str) -> None:
    number = part_number(name)
    assert number is None or part_name(number) == name


@given(NAMES, st.integers(1, 50))
def test_every_name_is_in_one_part(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], strips_per_part: int
) -> None:
    out = open_location(str(tmp_path_factory.mktemp("listing")))
    listed = write_listing(iter(names), out, strips_per_part)
    run = manifest(listed.strips, strips_per_part)
    listing = Listing(out)
    parts = [listing.names(part) for part in range(run.parts)]
    assert [name for part in parts for name in part] == names
    assert [len(part) for part in parts] == [run.strips_of(part) for part in range(run.parts)]


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


def test_a_name_that_is_no_utf8_is_said(tmp_path: Path) -> None:
    with pytest.raises(SteelError, match=r"not UTF-8: 'a\\udcff.png"):
        write_listing(iter(["a\udcff.png"]), open_location(str(tmp_path)), 2)
    assert list(tmp_path.iterdir()) == []
