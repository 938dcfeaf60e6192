"""TIFFs whose tags change what their numbers mean, or what they cost."""

import struct

import numpy as np
import pytest
from PIL import Image

from service.errors import InvalidImageError
from tests.support.images import encoded, grey_image, read


@pytest.mark.parametrize("tags", [{258: 12}, {262: 0}])
def test_a_tiff_whose_sixteen_bits_mean_something_else_is_refused(tags: dict[int, int]) -> None:
    data = bytearray(encoded(Image.fromarray(np.zeros((256, 1600), dtype=np.uint16)), "TIFF"))
    for tag, value in tags.items():
        entry = data.index(struct.pack("<HHI", tag, 3, 1))
        data[entry + 8 : entry + 10] = struct.pack("<H", value)
    with pytest.raises(
        InvalidImageError, match=r"expected 16-bit grey values with black at 0|cannot be decoded"
    ):
        read(bytes(data))


def test_a_tiff_of_very_many_frames_is_refused_at_the_second() -> None:
    data = encoded(grey_image(8, 8), "TIFF", save_all=True, append_images=[grey_image(8, 8)] * 30)
    with pytest.raises(InvalidImageError):
        read(data)


@pytest.mark.parametrize(
    ("mode", "tags", "kind"),
    [
        ("L", {339: 2}, "signed or floating-point numbers"),
        ("I;16", {339: 2}, "I"),
        ("F", {339: 3}, "F"),
    ],
)
def test_a_tiff_of_other_numbers_is_refused(mode: str, tags: dict[int, int], kind: str) -> None:
    data = encoded(Image.new(mode, (1600, 256)), "TIFF", tiffinfo=tags)
    with pytest.raises(InvalidImageError, match=rf"pixels of type '{kind}'|cannot be decoded"):
        read(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [273, 324])
def test_a_tiff_of_very_many_pieces_is_refused_unread(order: str, tag: int) -> None:
    """400,000 strips took 10 seconds."""
    count = 400_000
    entry = struct.pack(f"{order}HHII", tag, 4, count, 26)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
    with pytest.raises(InvalidImageError, match="at most 10000 strips or tiles, got 400000"):
        read(head + struct.pack(f"{order}I", 8) * count)


@pytest.mark.parametrize("cut", [6, 8, 9, 30])
def test_a_directory_that_is_not_whole_is_refused(cut: int) -> None:
    data = b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 256, 4, 1, 1600) * 2
    with pytest.raises(InvalidImageError, match="its directory is not whole"):
        read(data[:cut])
