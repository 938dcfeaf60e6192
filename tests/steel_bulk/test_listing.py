"""A listing cut into parts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.schemas import ProfileUsed
from steel_bulk.listing import Listing, write_listing
from steel_bulk.locations import open_location
from steel_bulk.manifest import Manifest, PinnedModel, RunSpec
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


def test_a_name_that_is_no_utf8_is_said(tmp_path: Path) -> None:
    with pytest.raises(SteelError, match=r"not UTF-8: 'a\\udcff.png"):
        write_listing(iter(["a\udcff.png"]), open_location(str(tmp_path)), 2)
    assert list(tmp_path.iterdir()) == []
