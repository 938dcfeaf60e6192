"""Errors of the service."""

import pytest

from service.errors import InvalidParameterError, QueueFullError, ServiceError


@pytest.mark.parametrize(
    "error", [InvalidParameterError("threshold", "expected a number"), QueueFullError("expected a number", 7)]
)
def test_an_error_about_a_subject_is_the_same_error(error: ServiceError) -> None:
    about = error.about("image[1]")
    assert type(about) is type(error)
    assert str(about) == about.detail == "image[1]: expected a number"
    assert str(error) == error.detail == "expected a number"
    assert vars(about) == vars(error) | {"detail": about.detail}
