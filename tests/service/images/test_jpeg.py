"""Markers of a JPEG."""

import pytest

from service.errors import InvalidImageError
from tests.support.images import encoded, grey_image, read


def test_a_jpeg_of_very_many_scans_is_refused_unread() -> None:
    data = encoded(grey_image(), "JPEG", progressive=True)
    with pytest.raises(InvalidImageError, match="at most 64 scans"):
        read(data[:-2] + b"\xff\xda" * 70 + data[-2:])
