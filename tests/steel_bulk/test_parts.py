"""Names of parts."""

from hypothesis import given
from hypothesis import strategies as st

from steel_bulk.parts import part_name, part_number


@given(st.integers(0, 10**9))
def test_a_parts_name_means_its_number(part: int) -> None:
    assert part_number(part_name(part)) == part


@given(st.one_of(st.text(), st.from_regex(r"\.?part-\d*\.parquet(\.tmp)?\n?", fullmatch=True)))
def test_other_names_mean_no_part(name: str) -> None:
    number = part_number(name)
    assert number is None or part_name(number) == name
