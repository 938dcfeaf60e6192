"""Image files that are broken, foreign, or lie."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.hostile.rows import Row, posted
from tests.support.images import encoded, grey_image, png
from tests.support.tiny_model import block_strip

STRIP = png(block_strip(c3=(100, 20, 5, 30)))
JPEG = encoded(grey_image(), "JPEG", quality=90)
BMP = encoded(grey_image(), "BMP")
TIFF = encoded(grey_image(), "TIFF")
WEBP = encoded(grey_image(), "WEBP")
_PIXELS = zlib.compress(bytes(1601 * 256))


def image_rows() -> list[Row]:
    """Rows of single images, each the body of a request."""
    rgb, grey = grey_image().convert("RGB"), grey_image()
    cmyk = Image.new("CMYK", (1600, 256))
    frames = {"save_all": True, "append_images": [grey_image(value=9)]}
    turned = Image.Exif()
    turned[0x112] = 6
    return [
        posted("no bytes", b"", 422, "an empty file"),
        posted("one byte", b"\x00", 415, "begins with the bytes 00"),
        posted("text", b"hello", 415, "expected an image of type"),
        posted("json", b'{"image": 1}', 415, "expected an image of type"),
        posted("pdf", b"%PDF-1.7\n" + bytes(500), 415, "expected an image of type"),
        posted("zip", b"PK\x03\x04" + bytes(500), 415, "expected an image of type"),
        posted("program", b"\x7fELF" + bytes(500), 415, "expected an image of type"),
        posted("svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "expected an image of type"),
        posted(
            "svg bomb", b'<!DOCTYPE x [<!ENTITY a "aa">]><svg>&a;</svg>', 415, "expected an image of type"
        ),
        posted("gif", encoded(grey, "GIF"), 415, "expected an image of type"),
        posted("ico", encoded(grey_image(64, 64), "ICO"), 415, "expected an image of type"),
        posted("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "expected an image of type"),
        posted("jpeg 2000", b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99), 415, "expected an image of type"),
        posted("wave", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30), 415, "expected an image of type"),
        # JPEG
        posted("jpeg, magic only", b"\xff\xd8\xff", 422, "the JPEG cannot be decoded"),
        posted("jpeg, noise", b"\xff\xd8\xff" + bytes(range(256)) * 4, 422, "the JPEG cannot be decoded"),
        posted("jpeg, half", JPEG[: len(JPEG) // 2], 422, "the JPEG cannot be decoded"),
        posted("jpeg, no end", JPEG[:-2], 200, ""),
        posted("jpeg, scan overwritten", _spoiled(JPEG), 422, "the JPEG cannot be decoded"),
        posted("jpeg, lies: 65500 x 65500", _jpeg_of(65500, 65500), 413, "65500x65500"),
        posted("jpeg, lies: 65535 x 65535", _jpeg_of(65535, 65535), 413, "at most 16000000 pixels"),
        posted("jpeg, lies: 1600 x 255", _jpeg_of(1600, 255), 422, "1600x255"),
        posted("jpeg, lies: 0 x 0", _jpeg_of(0, 0), 422, "the JPEG cannot be decoded"),
        posted("jpeg, lies: two sizes", _jpeg_of_two_sizes(), 422, "the JPEG"),
        posted("jpeg, a thousand scans", JPEG[:-2] + b"\xff\xda" * 1000 + JPEG[-2:], 422, "64 scans"),
        posted("jpeg, cmyk", encoded(cmyk, "JPEG"), 422, "pixels of type 'CMYK'"),
        posted("jpeg, upright", encoded(grey_image(256, 1600), "JPEG"), 422, "256x1600"),
        posted("jpeg, tiny", encoded(grey_image(1, 1), "JPEG"), 422, "1x1"),
        posted("jpeg, exif asks to turn", encoded(grey, "JPEG", exif=turned), 200, ""),
        posted("jpeg, progressive", encoded(rgb, "JPEG", progressive=True), 200, ""),
        posted("jpeg, lossless, 4 bits", _lossless_jpeg(4), 422, "pixels of type '4 bits'"),
        posted("jpeg, another behind", _jpeg_of_two_pictures(), 200, ""),
        posted("jpeg, two start markers", JPEG[:2] + JPEG, 200, ""),
        posted("jpeg, a million start markers", JPEG[:2] * 1_000_000 + JPEG, 422, "at most 1000 segments"),
        posted("jpeg, a million comments", _with_comments(1_000_000), 422, "at most 1000 segments"),
        posted("jpeg, 3x1 sampling", _sampled(rgb, 0x31), 200, ""),
        posted("jpeg, 1x4 sampling, half", _sampled(rgb, 0x14)[:4000], 422, "the JPEG cannot be decoded"),
        posted("jpeg, bytes behind", JPEG + b"<?php system($_GET[0]); ?>", 200, ""),
        # PNG
        posted("png, magic only", STRIP[:8], 422, "the PNG cannot be decoded"),
        posted("png, half", STRIP[: len(STRIP) // 2], 422, "the PNG cannot be decoded"),
        posted("png, wrong checksum", _flipped(STRIP, 30), 422, "the PNG cannot be decoded"),
        posted("png, lies: 2^31-1 square", _png_of(2**31 - 1, 2**31 - 1), 413, "at most 16000000 pixels"),
        posted("png, lies: 50000 x 50000", _png_of(50_000, 50_000), 413, "at most 16000000 pixels"),
        posted("png, of 94 tiles", _png_of(1700, 9000), 413, "at most 64 tiles of 1600x256 pixels"),
        posted("png, of 15 tiles", png(np.zeros((1024, 4096), dtype=np.uint8)), 200, '"tiles":15'),
        posted("png, lies: 15 tiles", _png_of(4096, 1024, rows=1000), 422, "the PNG cannot be decoded"),
        posted("png, lies: 0 wide", _png_of(0, 256), 422, "the PNG cannot be decoded"),
        posted("png, lies: more rows", _png_of(1600, 256, rows=255), 422, "ends before its last row"),
        posted("png, lies: fewer rows", _png_of(1600, 256, rows=9000), 200, ""),
        posted("png, bomb in a comment", _png_with(b"zTXt", b"x\x00\x00" + _bomb()), 422, "the PNG cannot"),
        posted("png, bomb in a profile", _png_with(b"iCCP", b"x\x00\x00" + _bomb()), 422, "the PNG"),
        posted(
            "png, endless chunk", STRIP[:33] + struct.pack(">I4s", 2**31 - 1, b"tEXt"), 422, "the PNG cannot"
        ),
        posted("png, animated", encoded(grey, "PNG", **frames), 422, "exactly 1 frame"),
        posted("png, palette", encoded(grey.convert("P"), "PNG"), 200, ""),
        posted("png, alpha", encoded(grey.convert("LA"), "PNG"), 200, ""),
        posted("png, colour and alpha", encoded(rgb.convert("RGBA"), "PNG"), 200, ""),
        posted("png, one bit", encoded(grey.convert("1"), "PNG"), 200, ""),
        posted("png, 16 bits", _wide_png(65535), 200, ""),
        posted("png, 12 bits of 16", _wide_png(4095), 422, "uses all 16 bits"),
        posted("png, one pixel short", encoded(grey_image(1599), "PNG"), 422, "1599x256"),
        posted("png, wrong checksum of pixels", _flipped(STRIP, len(STRIP) - 14), 422, "checksum of a chunk"),
        posted(
            "png, no checksum in the pixels", _png_of_pixels(_PIXELS[:-4]), 422, "ends before its checksum"
        ),
        posted("png, wrong checksum in the pixels", _png_of_pixels(_PIXELS[:-4] + bytes(4)), 422, "the PNG"),
        posted("png, unknown critical chunk", _png_with(b"ABCD", b"x"), 422, "an unknown type"),
        posted("png, no palette", _png_of_pixels(_PIXELS, colour=3), 422, "no palette"),
        posted("png, hidden second picture", _png_with(b"fdAT", bytes(4)), 422, "exactly 1 frame"),
        posted("png, 300,000 chunks", STRIP[:33] + _chunk(b"abCd", b"") * 300_000, 422, "10000 chunks"),
        # BMP
        posted("bmp, damaged run lengths", _bmp_of_runs(b"\xff\x00" * 9), 422, "row 0 has more than 1600"),
        posted("bmp, a million run lengths", _bmp_of_runs(b"\0\2\0\0" * 1_000_000), 422, "row 0 has 0 of"),
        posted("bmp, magic only", b"BM", 422, "the BMP cannot be decoded"),
        posted("bmp, half", BMP[: len(BMP) // 2], 422, "the BMP cannot be decoded"),
        posted("bmp, lies: huge", _bmp_of(40_000, 40_000), 413, "at most 16000000 pixels"),
        posted("bmp, lies: negative", _bmp_of(-1600, 256), 413, "pixels"),
        # TIFF
        posted("tiff, magic only", TIFF[:4], 422, "the TIFF cannot be decoded"),
        posted("tiff, half", TIFF[: len(TIFF) // 2], 422, "the TIFF cannot be decoded"),
        posted(
            "tiff, directory elsewhere", TIFF[:4] + b"\xff\xff\xff\x7f" + TIFF[8:], 422, "the TIFF cannot"
        ),
        posted(
            "tiff, directory in itself", b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00", 422, "the TIFF"
        ),
        posted("tiff, several pages", encoded(grey, "TIFF", **frames), 422, "exactly 1 frame"),
        posted("tiff, floats", encoded(grey.convert("F"), "TIFF"), 422, "pixels of type 'F'"),
        posted("tiff, cmyk", encoded(cmyk, "TIFF"), 422, "pixels of type 'CMYK'"),
        posted("tiff, asks to turn", encoded(grey, "TIFF", tiffinfo={0x112: 6}), 200, ""),
        posted("tiff, signed", encoded(grey, "TIFF", tiffinfo={339: 2}), 422, "signed"),
        posted("tiff, 400,000 strips", _tiff_of_strips(400_000), 422, "at most 10000 strips"),
        posted("tiff, huge", encoded(grey_image(5000, 4000), "TIFF", compression="tiff_lzw"), 413, "pixels"),
        # WebP
        posted("webp, magic only", WEBP[:12], 422, "the WEBP cannot be decoded"),
        posted("webp, half", WEBP[: len(WEBP) // 2], 422, "the WEBP cannot be decoded"),
        posted("webp, animated", encoded(rgb, "WEBP", **frames), 422, "exactly 1 frame"),
        posted("webp, lossless", encoded(grey, "WEBP", lossless=True), 200, ""),
    ]


def _sampled(image: Image.Image, factors: int) -> bytes:
    """A JPEG whose frame header declares other sampling factors of the luma."""
    jpeg = encoded(image, "JPEG", subsampling=0)
    at = jpeg.index(b"\xff\xc0") + 11
    return jpeg[:at] + bytes([factors]) + jpeg[at + 1 :]


def _with_comments(count: int) -> bytes:
    return JPEG[:2] + b"\xff\xfe\x00\x02" * count + JPEG[2:]


def _png_of_pixels(compressed: bytes, colour: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1600, 256, 8, colour, 0, 0, 0))
    return STRIP[:8] + header + _chunk(b"IDAT", compressed) + _chunk(b"IEND", b"")


def _bmp_of_runs(codes: bytes) -> bytes:
    """A BMP of 8 bits in run-length code."""
    header = struct.pack("<IiiHHIIiiII", 40, 1600, 256, 1, 8, 1, len(codes), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(codes), 0, 0, 1078) + header + bytes(1024) + codes


def _tiff_of_strips(count: int) -> bytes:
    entry = struct.pack("<HHII", 273, 4, count, 26)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + bytes(4 * count)


def _spoiled(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xda") + 20
    return jpeg[:start] + b"\xff\xd0\xff\xd7" * 40 + jpeg[start + 160 :]


def _jpeg_of(width: int, height: int) -> bytes:
    """A JPEG whose frame header announces another size."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def _jpeg_of_two_sizes() -> bytes:
    """A JPEG with another frame header in front of its own, which announces 65500 x 65500."""
    at = JPEG.index(b"\xff\xc0")
    end = at + 2 + int.from_bytes(JPEG[at + 2 : at + 4], "big")
    return JPEG[:at] + JPEG[at : at + 5] + struct.pack(">HH", 65500, 65500) + JPEG[at + 9 : end] + JPEG[at:]


def _lossless_jpeg(bits: int) -> bytes:
    """One flat grey, half of what so many bits hold (ITU-R T.81, annex H): every difference is 0."""
    frame = struct.pack(">2sHBHHBBBB", b"\xff\xc3", 11, bits, 256, 1600, 1, 1, 0x11, 0)
    table = b"\xff\xc4" + struct.pack(">H", 20) + b"\x00" + b"\x01" + bytes(15) + b"\x00"
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0)
    return b"\xff\xd8" + frame + table + scan + bytes(256 * 1600 // 8) + b"\xff\xd9"


def _jpeg_of_two_pictures() -> bytes:
    """Return a JPEG as some cameras write it, with another one behind it."""
    return encoded(grey_image(), "MPO", save_all=True, append_images=[grey_image(value=9)])


def _wide_png(value: int) -> bytes:
    """Return a PNG of 16 bits with this value everywhere."""
    return encoded(Image.fromarray(np.full((256, 1600), value, dtype=np.uint16)), "PNG")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_of(width: int, height: int, rows: int = 1) -> bytes:
    """A PNG that announces a size and holds so many rows of 1600 pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1601 * rows))
    return STRIP[:8] + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _png_with(name: bytes, data: bytes) -> bytes:
    """The good strip with one more chunk behind its header."""
    return STRIP[:33] + _chunk(name, data) + STRIP[33:]


def _bomb() -> bytes:
    """A hundred megabytes in a tenth of one."""
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(100)), packer.flush()])


def _bmp_of(width: int, height: int) -> bytes:
    return BMP[:18] + struct.pack("<ii", width, height) + BMP[26:]


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
