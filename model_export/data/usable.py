"""Open every image once before work begins, so that none fails in the middle of it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from model_export.data.tile import Shape
from model_export.errors import DataError
from service.errors import ServiceError
from service.geometry import BitDepth, Strip
from service.images.decode import decode

MAX_PIXELS = 2**26
"""Of an image, by its header: 16384x4096 and the like."""
_BLOCK = 256
"""Images that are handed to threads at a time."""


def decode_file(path: Path, bits: BitDepth | None) -> Strip:
    """Decode an image file as the service does, uint8 ``[height, width]``.

    Args:
        path: of the file.
        bits: of a pixel in 16-bit files; None expects all 16 in use.

    Raises:
        DataError: saying why the service would refuse it, without its name.
    """
    try:
        return decode(path.read_bytes(), max_pixels=MAX_PIXELS, bits=None if bits is None else int(bits))
    except OSError as error:
        raise DataError(f"not readable as an image ({error.strerror or error})") from error
    except ServiceError as error:
        raise DataError(error.detail) from error


def open_all(paths: Sequence[Path], bits: BitDepth | None) -> tuple[dict[Path, Shape], dict[Path, str]]:
    """Decode images; return rows and columns of each, and why others cannot be used.

    Args:
        paths: of the files.
        bits: of a pixel in 16-bit files; None expects all 16 in use.
    """
    shapes: dict[Path, Shape] = {}
    problems: dict[Path, str] = {}

    def shape_of(path: Path) -> Shape | str:
        try:
            height, width = decode_file(path, bits).shape
        except DataError as error:
            return str(error)
        return height, width

    progress = tqdm(total=len(paths), desc="opening", unit="strip", leave=False, dynamic_ncols=True)
    with progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _BLOCK):
            block = paths[start : start + _BLOCK]
            for path, found in zip(block, pool.map(shape_of, block), strict=True):
                if isinstance(found, str):
                    problems[path] = found
                else:
                    shapes[path] = found
            progress.update(len(block))
    return shapes, problems
