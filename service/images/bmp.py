"""Check the run-length code of BMPs: Pillow fills with colour 0 what a damaged one leaves out.

Source: Microsoft, "Bitmap Compression" (BI_RLE8, BI_RLE4).
"""

from PIL import ImageFile

from service.errors import InvalidImageError

_RLE4 = 2
_END_OF_LINE, _END_OF_BITMAP, _DELTA = 0, 1, 2


def check_bmp(image: ImageFile.ImageFile, bmp: bytes) -> None:
    """Check that a run-length code, if there is one, gives every pixel of the image a value.

    Args:
        image: the open file, not decoded yet.
        bmp: the file.

    Raises:
        InvalidImageError: if it does not.
    """
    for codec, _, offset, _ in image.tile:
        if codec == "bmp_rle":
            _check_runs(bmp[offset:], *image.size, four_bits=image.info["compression"] == _RLE4)


def _check_runs(codes: bytes, width: int, height: int, *, four_bits: bool) -> None:
    at = row = column = 0
    while row < height:
        if at + 2 > len(codes):
            break
        count, value = codes[at : at + 2]
        at += 2
        if count:
            column += count
        elif value == _END_OF_LINE and column == width:
            row, column = row + 1, 0
        elif value == _END_OF_BITMAP and (row, column) == (height - 1, width):
            return
        elif value <= _DELTA:
            raise InvalidImageError(f"the BMP is damaged: row {row} has {column} of {width} pixels")
        else:  # so many pixels that are written out, in whole words
            column += value
            size = (value + 1) // 2 if four_bits else value
            at += size + size % 2
        if column > width:
            raise InvalidImageError(f"the BMP is damaged: row {row} has more than {width} pixels")
    if (row, column) not in ((height, 0), (height - 1, width)) or at > len(codes):
        raise InvalidImageError("the BMP ends before its last row")
