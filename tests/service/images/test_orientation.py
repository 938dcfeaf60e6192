"""Pixels count as stored, whatever orientation a file carries."""

import numpy as np
import pytest
from PIL import Image

from service.errors import InvalidImageError
from service.images.orientation import orientation_of
from tests.support.images import encoded, exif, grey_image, read

STRIP = np.add.outer(np.arange(256) // 2, np.arange(1600) // 13).astype(np.uint8)
"""Different however it is turned."""
KINDS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF LZW": {"compression": "tiff_lzw"},  # another decoder in Pillow, libtiff
}


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "kind"),
    [(mode, kind) for mode in ("L", "RGB") for kind in KINDS]
    + [("I;16", "PNG"), ("I;16", "TIFF"), ("I;16", "TIFF LZW")],
)
def test_no_format_is_turned(mode: str, kind: str, turned: int) -> None:
    name, options = kind.split()[0], KINDS[kind]
    sixteen = Image.fromarray(STRIP.astype(np.uint16) * 257)
    image = sixteen if mode == "I;16" else Image.fromarray(STRIP).convert(mode)
    plain = read(encoded(image, name, **options))
    data = encoded(image, name, **options, exif=exif(turned))
    np.testing.assert_array_equal(read(data), plain)
    assert orientation_of(data) == turned


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_other_values_mean_nothing(value: int) -> None:
    data = encoded(Image.fromarray(STRIP), "PNG", exif=exif(value))
    np.testing.assert_array_equal(read(data), STRIP)
    assert orientation_of(data) == 1


@pytest.mark.parametrize("turned", range(2, 9))
def test_a_tiffs_orientation_in_xmp(turned: int) -> None:
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{turned}"/></x:xmpmeta>'
    data = encoded(Image.fromarray(STRIP), "TIFF", tiffinfo={700: xmp.encode()})
    np.testing.assert_array_equal(read(data), STRIP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turned", [1, 6, 8])
def test_an_upright_picture_is_refused_with_what_to_do(kind: str, turned: int) -> None:
    data = encoded(grey_image(256, 1600), kind.split()[0], **KINDS[kind], exif=exif(turned))
    with pytest.raises(InvalidImageError, match=r"of 256x1600; an EXIF .*turn the pixels themselves"):
        read(data)
