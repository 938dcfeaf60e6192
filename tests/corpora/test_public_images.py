"""Pictures that others collected to test decoders; none of them is in this repository."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.corpora.comparing import outcome
from tests.support.serving import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd metadata

PNG_SUITE = Path("/usr/share/doc/libsixel-examples/examples/images/pngsuite")
GO = Path("/usr/share/gocode/src/golang.org/x/image/testdata")
PILLOW = ROOT / ".corpora" / "Tests" / "images"
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def outcomes(folder: Path, package: str) -> dict[str, str]:
    """Return the outcome of each picture, by its path in the folder."""
    if not folder.is_dir():
        pytest.skip(f"no pictures in {folder}: {package}")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    return {str(file.relative_to(folder)): outcome(file.read_bytes()) for file in files}


def unexpected(found: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Return the outcomes that are neither "agrees" nor what the table of patterns wants.

    A pattern of the table that no file needs is one as well.
    """
    wrong, needed = {}, set()
    for name, result in found.items():
        if result in ("agrees", "both refuse"):
            continue
        pattern = next((one for one in wanted if fnmatch(name, one)), None)
        if pattern is None or not result.startswith(wanted[pattern]):
            wrong[name] = result
        needed.add(pattern)
    return wrong | dict.fromkeys(wanted.keys() - needed, "no file needs it")


def test_png_suite() -> None:
    found = outcomes(PNG_SUITE, "apt-get install libsixel-examples")
    assert len(found) == 174
    for name, result in found.items():
        colour, bits = re.fullmatch(r".*(\d)[a-z](\d\d)\.png", name).groups()  # type: ignore[union-attr]
        if "corrupted" in name:
            assert result == "both refuse", name
        elif bits == "16" and colour != "0":
            assert re.search(r"pixels of type '16-bit (RGB|RGBA|LA)'", result), name
        else:
            assert result == "agrees", name


def test_pictures_of_go() -> None:
    found = outcomes(GO, "apt-get install golang-golang-x-image-dev")
    assert len(found) > 60
    assert unexpected(found, GO_EXCEPTIONS) == {}


def test_pictures_of_pillow() -> None:
    found = outcomes(PILLOW, "make .corpora/.installed")
    assert len(found) > 600
    assert unexpected(found, PILLOW_EXCEPTIONS) == {}


_SEVERAL = "refused: expected exactly 1 frame"
_PIXELS = "refused: expected pixels of 8-bit grey or RGB or 16-bit grey, got a "
_UNREADABLE = "refused: the BMP cannot be decoded: Unsupported BMP "

GO_EXCEPTIONS = {
    "no_*.tiff": "differs by 255",  # OpenCV multiplies colour by its alpha in TIFFs, and not in PNGs
    "video-001-16bit.tiff": f"{_PIXELS}TIFF with pixels of type '16-bit RGB'",
}

PILLOW_EXCEPTIONS = {
    # several pictures, of which other decoders take the first
    "apng/*_zero_default.png": "OpenCV refuses",
    "apng/*": _SEVERAL,
    "blend_transparency.png": _SEVERAL,
    "compression.tif": _SEVERAL,
    "g4-multi.tiff": _SEVERAL,
    "iss634.webp": _SEVERAL,
    "multipage*.tiff": _SEVERAL,
    "no_rows_per_strip.tif": _SEVERAL,
    "*_raw_with_overviews.tif": _SEVERAL,
    "total-pages-zero.tif": _SEVERAL,
    # pixels that are no grey values and no colours of 8 bits
    "*bit.s.tif": _PIXELS,
    "*16bit_RGB*.tiff": f"{_PIXELS}TIFF with pixels of type '16-bit RGB",
    "*cmyk_jpeg.tif": f"{_PIXELS}TIFF with pixels of type 'CMYK'",
    "*[Ll]ab*.tif": f"{_PIXELS}TIFF with pixels of type 'LAB'",
    "pil_sample_cmyk.jpg": f"{_PIXELS}JPEG with pixels of type 'YCCK'",
    "separate_planar_extra_samples.tiff": f"{_PIXELS}TIFF with pixels of type 'signed or floating-point",
    # OpenCV turns TIFFs; pixels are inspected as they are stored
    "g4_orientation_[234].tif": "differs by 255",
    "g4_orientation_[5678].tif": "differs in size",
    # rarer than what a camera writes
    "bmp/b/badheadersize.bmp": f"{_UNREADABLE}header type",
    "bmp/g/rgb32bf.bmp": f"{_UNREADABLE}bitfields layout",
    "bmp/q/rgb32-111110.bmp": f"{_UNREADABLE}bitfields layout",
    "hopper_bigtiff.tif": "refused: expected an image of type",
    "unknown_compression_method.png": "refused: the PNG cannot be decoded: its header",
    # damaged, or pixels without a value
    "bmp/q/pal?rletrns.bmp": "refused: the BMP is damaged: row 21 has 27 of 127 pixels",
    "hopper_bad_exif.jpg": "refused: the JPEG cannot be decoded: Corrupt JPEG data",  # a thumbnail's tables
    "png_decompression_dos.png": "refused: the PNG cannot be decoded: Decompressed data too large",
    "tiff_tiled_jpeg_oob_read.tif": "refused: the TIFF cannot be decoded",
    # OpenCV cannot read them
    "hopper_gray_4bpp.tif": "OpenCV refuses",
    "hopper_lzma.tif": "OpenCV refuses",
    "old-style-jpeg-compression*.tif": "OpenCV refuses",
    "tiff_gray_2_4_bpp/hopper*.tif": "OpenCV refuses",
    # OpenCV multiplies colour by its alpha in TIFFs
    "pil136.tiff": "differs by 5",
    "tiff_wrong_bits_per_sample.tiff": "differs by 251",
    # OpenCV shifts 5 bits to 8, and does not scale them; it reads channels of other masks in the usual order
    "bmp/g/rgb16*.bmp": "differs by ",
    "bmp/q/rgb32h52.bmp": "differs by 77",
    # Pixels that begin inside the palette, says the header; OpenCV believes it
    "mmap_error.bmp": "differs by 255",
}
