"""Query parameters: any text is read, or refused with what is allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.parameters import PredictQuery, parse_areas, parse_mm_per_px, parse_query, parse_thresholds
from service.errors import InvalidParameterError
from service.settings import Settings
from tests.support.tiny_model import tiny_metadata

numbers = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.text(alphabet="0123456789.,eE+-_ infa٣½\x00", max_size=12),
)


lists = st.lists(numbers, max_size=6).map(",".join) | st.text(max_size=40)


@given(lists)
def test_thresholds_are_four_fractions_or_an_error(text: str) -> None:
    try:
        values = parse_thresholds(text, 4)
    except ValueError as error:
        assert "each from 0 to 1" in str(error)
        return
    assert len(values) == 4
    assert all(0 <= value <= 1 for value in values)


@given(lists)
def test_areas_are_four_whole_numbers_or_an_error(text: str) -> None:
    try:
        values = parse_areas(text, 4)
    except ValueError as error:
        assert "whole number of pixels" in str(error)
        return
    assert len(values) == 4
    assert all(0 <= value < 10**7 for value in values)


@given(lists)
def test_the_size_of_a_pixel_is_two_lengths_or_an_error(text: str) -> None:
    try:
        values = parse_mm_per_px(text)
    except ValueError as error:
        assert "millimetres of a pixel" in str(error) or "expected a decimal point" in str(error)
        return
    assert len(values) == 2
    assert all(math.isfinite(value) and 0 < value <= 1000 for value in values)


@pytest.mark.parametrize("text", ["0.25", "0.25,0.25,0.25,0.25"])
def test_one_value_stands_for_all_four(text: str) -> None:
    assert parse_thresholds(text, 4) == (0.25,) * 4


def test_one_value_or_four() -> None:
    assert parse_thresholds("0.5", 4) == (0.5, 0.5, 0.5, 0.5)
    assert parse_thresholds("0, 1,.25,1e-1", 4) == (0, 1, 0.25, 0.1)
    assert parse_areas("300", 4) == (300, 300, 300, 300)
    assert parse_areas("1, 2,3,4", 4) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "text", ["", "x", "1.1", "-0.1", "nan", "inf", "0.5,0.5", "0.5,0.5,0.5,0.5,0.5", "0.5,"]
)
def test_wrong_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match="expected one value or 4 separated by commas"):
        parse_thresholds(text, 4)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "1,2", "99999999", "²"])
def test_wrong_areas(text: str) -> None:
    with pytest.raises(ValueError, match="expected one value or 4 separated by commas"):
        parse_areas(text, 4)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0.5", (0.5, 0.5)), ("0.5,0.4", (0.5, 0.4)), ("1,2", (1, 2)), ("1x5", (1, 5)), ("0.5x0.5", (0.5, 0.5))],
)
def test_the_size_of_a_pixel(text: str, size: tuple[float, float]) -> None:
    assert parse_mm_per_px(text) == size


def test_a_decimal_comma_is_no_pair() -> None:
    with pytest.raises(ValueError, match=r"expected a decimal point, or 1x5 if pixels are 1 mm wide"):
        parse_mm_per_px("1,5")
    with pytest.raises(ValueError, match="one number or width and height"):
        parse_mm_per_px("1x2x3")


def test_lists_may_be_repeated_parameters() -> None:
    items = [("threshold", "0.5"), ("profile", "kaggle"), ("threshold", "0.4,0.5"), ("threshold", "0.6")]
    query = parse_query([*items, ("min_area", "7")], PredictQuery)
    assert (query.profile, query.threshold, query.min_area) == ("kaggle", "0.5,0.4,0.5,0.6", "7")
    assert parse_query([("mm_per_px", "0.5"), ("mm_per_px", "0.4")], PredictQuery).pixel_size == (0.5, 0.4)


@pytest.mark.parametrize("name", ["profile", "mask_format", "instances", "maps"])
def test_a_repeated_parameter_of_one_value_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"{name}: expected one value, got several"):
        parse_query([(name, "true"), (name, "true")], PredictQuery)


@pytest.mark.parametrize(
    ("classes", "name", "text", "expected"),
    [
        (4, "threshold", "0.5,0.4", "one value or 4 separated by commas, each from 0 to 1, got '0.5,0.4'"),
        (3, "class_threshold", "0.5,0.4,0.3,0.2", "one value or 3 separated by commas"),
        (1, "min_area", "5,5", "one value, each a whole number"),
        (32, "min_area", "5,5", "one value or 32 separated by commas"),
    ],
)
def test_the_number_of_values_is_that_of_the_model(classes: int, name: str, text: str, expected: str) -> None:
    metadata = tiny_metadata(values=range(7, 7 * classes + 1, 7))
    query = parse_query([(name, text)], PredictQuery)
    with pytest.raises(InvalidParameterError, match=f"^{name}: expected {expected}") as caught:
        query.options(metadata, Settings())
    assert caught.value.name == name


def test_every_class_of_a_model_gets_a_value() -> None:
    metadata = tiny_metadata(values=(10, 20, 30))
    query = parse_query([("threshold", "0.5,0.4,0.3"), ("min_area", "7")], PredictQuery)
    point, _ = query.options(metadata, Settings())
    assert (point.threshold, point.min_area) == ((0.5, 0.4, 0.3), (7, 7, 7))


def test_a_png_holds_no_more_classes_than_it_has_bits() -> None:
    query = parse_query([("mask_format", "png")], PredictQuery)
    query.options(tiny_metadata(values=range(1, 17)), Settings())
    with pytest.raises(InvalidParameterError, match=r"mask_format: expected another .*: the model has 17"):
        query.options(tiny_metadata(values=range(1, 18)), Settings())


def test_the_model_says_whether_small_images_are_padded_and_the_request_may_differ() -> None:
    for default in (False, True):
        metadata = tiny_metadata(pad=default)
        assert parse_query([], PredictQuery).options(metadata, Settings())[1].pad is default
        for text in ("true", "false"):
            options = parse_query([("pad", text)], PredictQuery).options(metadata, Settings())[1]
            assert options.pad is (text == "true")


def test_the_operating_point_of_a_request() -> None:
    metadata = tiny_metadata()
    settings = Settings(profile="kaggle")
    assert parse_query([], PredictQuery).options(metadata, settings)[0].name == "kaggle"
    query = [("profile", "inspection"), ("class_threshold", "0.9"), ("class_threshold", "0.8,0.7,0.6")]
    point, options = parse_query(query, PredictQuery).options(metadata, settings)
    assert point.name == "inspection"
    assert options.point.class_threshold == (0.9, 0.8, 0.7, 0.6)
    with pytest.raises(InvalidParameterError, match="profile: expected one of inspection, kaggle, got 'x'"):
        parse_query([("profile", "x")], PredictQuery).options(metadata, settings)


def test_a_class_threshold_below_the_gate_is_refused() -> None:
    metadata = tiny_metadata().model_copy(update={"gate": (0.1, 0.1, 0.2, 0.1)})
    for text, allowed in (("0.2", True), ("0.1,0.1,0.2,0.1", True), ("0.15", False), ("0", False)):
        query = parse_query([("class_threshold", text)], PredictQuery)
        if allowed:
            assert query.options(metadata, Settings())[0].class_threshold[2] >= 0.2
        else:
            with pytest.raises(InvalidParameterError, match=r"expected at least 0\.1,0\.1,0\.2,0\.1, below"):
                query.options(metadata, Settings())
