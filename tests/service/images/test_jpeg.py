"""JPEGs: markers, samplings, ends."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.errors import InvalidImageError, ServiceError
from service.geometry import Strip
from service.images.jpeg import decode_luma
from tests.support.images import encoded, grey_image, read

EXAMPLE = Path(__file__).parents[3] / "examples" / "strip.png"


@pytest.fixture(scope="module")
def colour() -> Image.Image:
    with Image.open(EXAMPLE) as image:
        return Image.merge(
            "RGB", [image.convert("L").point(lambda v, k=k: min(255, v + k)) for k in (0, 9, 30)]
        )


def with_luma_sampling(jpeg: bytes, factors: int) -> bytes:
    """Declare other sampling factors of the luma: the blocks of the scan then lie in other places."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 11] + bytes([factors]) + jpeg[at + 12 :]


def pillow_luma(jpeg: bytes) -> Strip:
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L"))


def test_a_jpeg_of_very_many_scans_is_refused_unread() -> None:
    data = encoded(grey_image(), "JPEG", progressive=True)
    with pytest.raises(InvalidImageError, match="at most 64 scans"):
        read(data[:-2] + b"\xff\xda" * 70 + data[-2:])


@pytest.mark.parametrize("factors", [0x31, 0x42, 0x14])
def test_an_unusual_sampling_is_read_as_viewers_read_it(colour: Image.Image, factors: int) -> None:
    data = with_luma_sampling(encoded(colour, "JPEG", subsampling=0), factors)
    np.testing.assert_array_equal(read(data), pillow_luma(data))
    with pytest.raises(InvalidImageError):
        read(data[: len(data) // 8])


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_whole_jpeg_without_its_end_marker_is_read(colour: Image.Image, subsampling: int) -> None:
    data = encoded(colour, "JPEG", subsampling=subsampling)
    assert data.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(read(data[:-2]), read(data))
    for cut in (60, 500, len(data) // 2):
        with pytest.raises(InvalidImageError):
            read(data[:-cut])


def test_a_progressive_jpeg_without_its_end_marker_may_lack_scans(colour: Image.Image) -> None:
    with pytest.raises(InvalidImageError):
        read(encoded(colour, "JPEG", progressive=True)[:-2])


def test_a_doubled_start_marker_is_passed_over(colour: Image.Image) -> None:
    data = encoded(colour, "JPEG")
    np.testing.assert_array_equal(read(data[:2] + data), read(data))


def test_other_colours_are_refused() -> None:
    with pytest.raises(InvalidImageError, match="pixels of type 'CMYK'"):
        read(encoded(Image.new("CMYK", (1600, 256)), "JPEG"))


@pytest.mark.parametrize("bits", [4, 12])
def test_other_bits_are_refused(colour: Image.Image, bits: int) -> None:
    data = bytearray(encoded(colour, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = bits
    with pytest.raises(InvalidImageError, match=f"pixels of type '{bits} bits'|cannot be decoded"):
        read(bytes(data))


def test_fill_bytes_before_a_marker_are_passed_over(colour: Image.Image) -> None:
    data = encoded(colour, "JPEG")
    frame = data.index(b"\xff\xc0")
    np.testing.assert_array_equal(read(data[:frame] + b"\xff\xff" + data[frame:]), read(data))


@pytest.mark.parametrize("end", [2, 3, 20])
def test_a_file_without_a_frame_is_refused(colour: Image.Image, end: int) -> None:
    with pytest.raises(ServiceError):
        read(encoded(colour, "JPEG")[:end])
    with pytest.raises(InvalidImageError, match="pixels of type '0 bits'"):
        decode_luma(encoded(colour, "JPEG")[:end], "Gray")


METADATA = b"\xff\xe1\x00\x08Exif\x00\x00"


def test_what_viewers_pass_over_in_a_header_is_passed_over(colour: Image.Image) -> None:
    data = encoded(colour, "JPEG")
    table = data.index(b"\xff\xdb")
    for extra in (
        b"\x00\x10junk",
        b"\xff\x00\x00",
        METADATA + b"junk" + METADATA,
        b"\xff\xd8",
        b"\xff\xe2\x00\x10ICC_PROFILE\x00\x09\x01",  # the last of one profile
    ):
        np.testing.assert_array_equal(read(data[:table] + extra + data[table:]), read(data))
        unusual = with_luma_sampling(encoded(colour, "JPEG", subsampling=0), 0x31)
        np.testing.assert_array_equal(read(unusual[:table] + extra + unusual[table:]), read(unusual))


def test_bytes_behind_a_table_may_be_the_rest_of_it(colour: Image.Image) -> None:
    data = encoded(colour, "JPEG")
    frame = data.index(b"\xff\xc0")
    with pytest.raises(InvalidImageError, match="extraneous bytes"):
        read(data[:frame] + b"junk" + data[frame:])


@pytest.mark.parametrize(
    "extra", [b"\xff\xd8", b"\xff\xfe\x00\x02", b"\xff\xd0", b"\xff\xdd\x00\x04\x00\x00"]
)
def test_a_header_of_very_many_segments_is_refused_unread(colour: Image.Image, extra: bytes) -> None:
    """A million start markers took 50 seconds and 4 GB."""
    data = encoded(colour, "JPEG")
    with pytest.raises(InvalidImageError, match="at most 1000 segments"):
        read(data[:2] + extra * (4_000_000 // len(extra)) + data[2:])


@pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
def test_a_header_with_very_many_bytes_between_is_refused_unread(colour: Image.Image, filling: bytes) -> None:
    data = encoded(colour, "JPEG")
    frame = data.index(b"\xff\xc0")
    with pytest.raises(InvalidImageError, match=r"no segment follows|cannot be decoded"):
        read(data[:frame] + filling * 4_000_000 + data[frame:])
