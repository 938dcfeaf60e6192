"""From image files to strips."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.errors import InvalidImageError, PayloadTooLargeError, UnsupportedMediaTypeError
from service.images.decode import Size, read_size
from tests.support.images import encoded, grey_image, png, read

RAMP = np.tile(np.arange(1600, dtype=np.uint16) % 256, (256, 1)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_grey_is_taken_as_it_is(kind: str) -> None:
    strip = read(encoded(Image.fromarray(RAMP), kind))
    assert strip.dtype == np.uint8
    np.testing.assert_array_equal(strip, RAMP)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_other_formats(kind: str, options: dict[str, object], mode: str) -> None:
    strip = read(encoded(grey_image(value=77).convert(mode), kind, **options))
    assert strip.shape == (256, 1600)
    assert abs(int(strip[100, 800]) - 77) <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_becomes_grey(mode: str) -> None:
    np.testing.assert_array_equal(read(encoded(Image.fromarray(RAMP).convert(mode), "PNG")), RAMP)


def test_colour_is_weighed_by_luma() -> None:
    red = Image.new("RGB", (1600, 256), (255, 0, 0))
    assert read(encoded(red, "PNG"))[0, 0] == 76  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(kind: str) -> None:
    wide = np.zeros((256, 1600), dtype=np.uint16)
    wide[0, :4] = [257 * 200, 65535, 128, 129]
    strip = read(encoded(Image.fromarray(wide), kind))
    assert strip[0, :4].tolist() == [200, 255, 0, 1]


@pytest.mark.parametrize("data", [b"%PDF-1.7 ...", b"GIF89a" + bytes(50), b"\x00" * 100, b"{}"])
def test_other_types_are_refused_with_what_came(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match=data[:4].hex(" ")):
        read(data)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(InvalidImageError, match="0 bytes"):
        read(b"")


def test_an_image_that_is_too_small_is_refused_with_what_came_and_what_is_wanted() -> None:
    message = "expected an image of at least 1600x256 pixels, got a PNG of 800x600; pad=true"
    with pytest.raises(InvalidImageError, match=message):
        read(encoded(grey_image(800, 600), "PNG"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (200, 200), (1600, 257), (4096, 1024)])
def test_images_have_any_size(kind: str, width: int, height: int) -> None:
    ramp = (np.arange(width * height) % 251).astype(np.uint8).reshape(height, width)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(ramp), kind, **options)
    assert read_size(data) == Size(width, height)
    strip = read(data, least=None)
    assert strip.shape == (height, width)
    if kind != "JPEG":
        np.testing.assert_array_equal(strip, ramp)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_large_image_of_16_bits_is_scaled_as_a_small_one(byte_order: str) -> None:
    values = (np.arange(600 * 300) % 65_536).astype(f"{byte_order}u2").reshape(600, 300)
    expected = (values.astype(np.int64) * 255 + 32_767) // 65_535
    np.testing.assert_array_equal(read(encoded(Image.fromarray(values), "TIFF"), least=None), expected)


def test_the_size_of_what_is_no_image_is_unknown() -> None:
    for data in (b"", b"%PDF", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00\x08\x00\x00\x00", b"BM"):
        assert read_size(data) is None


@given(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP"]), st.data())
def test_the_size_of_a_damaged_image_is_unknown_or_read(kind: str, data: st.DataObject) -> None:
    whole = encoded(grey_image(40, 30), kind)
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    size = read_size(bytes(damaged))
    assert size is None or (size.width >= 0 and size.height >= 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (256, 1600), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImageError, match="cannot be decoded"):
        read(data[: int(len(data) * share)])


def test_several_frames_are_refused() -> None:
    data = encoded(grey_image(), "TIFF", save_all=True, append_images=[grey_image()])
    with pytest.raises(InvalidImageError, match="expected exactly 1 frame, got a TIFF with several"):
        read(data)


@pytest.mark.parametrize("mode", ["CMYK", "F", "I"])
def test_other_pixel_types_are_refused(mode: str) -> None:
    with pytest.raises(InvalidImageError, match=f"pixels of type '{mode}'"):
        read(encoded(Image.new(mode, (1600, 256)), "TIFF"))


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize("side", [5_000, 12_000, 60_000])
def test_huge_dimensions_are_refused_from_the_header(side: int) -> None:
    with pytest.raises(PayloadTooLargeError, match="pixels"):
        read(png_header(side, side) + struct.pack(">I", 0) + b"IDAT" + bytes(4))


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"keep_rgb": True}, {"quality": 1}]
)
def test_a_jpegs_luma_is_what_pillow_reads(options: dict[str, object]) -> None:
    data = encoded(Image.fromarray(np.stack([RAMP, RAMP[::-1], 255 - RAMP], axis=2)), "JPEG", **options)
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", image.size)
        np.testing.assert_array_equal(read(data), np.asarray(image))


def test_a_jpeg_with_corrupt_data_is_refused() -> None:
    data = bytearray(encoded(Image.fromarray(RAMP), "JPEG", quality=95))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(range(40))
    with pytest.raises(InvalidImageError, match="the JPEG cannot be decoded"):
        read(bytes(data))


@given(st.data())
def test_damaged_files_give_a_strip_or_our_own_error(data: st.DataObject) -> None:
    original = bytearray(data.draw(st.sampled_from(_ORIGINALS)))
    for position in data.draw(st.lists(st.integers(0, len(original) - 1), min_size=1, max_size=8)):
        original[position] = data.draw(st.integers(0, 255))
    try:
        strip = read(bytes(original))
    except (InvalidImageError, PayloadTooLargeError, UnsupportedMediaTypeError):
        return
    assert strip.shape == (256, 1600)


_ORIGINALS = [encoded(Image.fromarray(RAMP), kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")]


def test_decode_leaves_the_bytes_alone() -> None:
    data = png(RAMP)
    before = bytes(data)
    read(data)
    assert data == before
    assert re.match(b"\x89PNG", io.BytesIO(data).read())


def test_an_animation_is_refused() -> None:
    for kind in ("PNG", "WEBP"):
        data = encoded(grey_image(), kind, save_all=True, append_images=[grey_image(value=9)])
        with pytest.raises(InvalidImageError, match=f"expected exactly 1 frame, got a {kind} with several"):
            read(data)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_of_a_camera_are_scaled_to_eight(bits: int) -> None:
    top = 2**bits - 1
    strip = np.random.default_rng(3).integers(0, 256, (256, 1600)).astype(np.uint8)
    strip[0, :2] = 0, 255
    values = np.round(strip * (top / 255)).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read(encoded(Image.fromarray(values), kind), bits=bits), strip)


def test_fewer_bits_than_sixteen_have_to_be_told() -> None:
    values = np.full((256, 1600), 4095, dtype=np.uint16)
    data = encoded(Image.fromarray(values), "PNG")
    with pytest.raises(
        InvalidImageError, match=r"values up to 4095; the parameter bits \(8, 10, 12, 14 or 16\)"
    ):
        read(data)
    assert set(read(data, bits=12).flat) == {255}
    assert set(read(data, bits=16).flat) == {16}
    with pytest.raises(InvalidImageError, match="expected values of 10 bits, at most 1023, got 4095"):
        read(data, bits=10)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_colour_are_refused(kind: str, channels: int) -> None:
    """Pillow cuts off their low bytes: a camera of 12 bits would look black."""
    values = np.full((256, 1600, channels), 4095, dtype=np.uint16)
    done, data = cv2.imencode(f".{kind.lower()}", values)
    assert done
    with pytest.raises(InvalidImageError, match=rf"got a {kind} with pixels of type '16-bit RGB"):
        read(data.tobytes())


def test_eight_bit_files_have_eight_bits_whatever_is_said() -> None:
    assert set(read(encoded(grey_image(value=7), "PNG"), bits=12).flat) == {7}
