"""Pictures of masks: an index of classes, the pixels of one class, or colours."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from model_export.data.label_table import Key
from model_export.labels.parts import PartError, check_size, columns_of
from service.geometry import ColumnMask


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A picture of masks: an index of classes, the pixels of one class, or colours."""

    path: Path
    kind: Key | None = None
    """Class of every pixel that is not 0; None: values or colours say it."""
    colours: tuple[tuple[tuple[int, int, int], Key], ...] = ()
    """Class of a colour; colours that are not listed are background only if they are black."""

    def draw(self, height: int, width: int) -> Iterator[tuple[Key, ColumnMask]]:
        """Yield the classes and their pixels; see ``Part``."""
        pixels = read_mask(self.path, colours=bool(self.colours))
        check_size(pixels.shape[:2], height, width, self.path.name)
        if self.colours:
            yield from self._by_colour(pixels)
        elif self.kind is not None:
            if pixels.any():
                yield self.kind, columns_of(pixels)
        else:
            for value in np.unique(pixels).tolist():
                if value:
                    yield value, columns_of(pixels == value)

    def _by_colour(self, pixels: npt.NDArray[np.uint8]) -> Iterator[tuple[Key, ColumnMask]]:
        packed = pack_colours(pixels)
        kinds = {pack_colour(colour): kind for colour, kind in self.colours}
        for value in np.unique(packed).tolist():
            if value in kinds:
                yield kinds[value], columns_of(packed == value)
            elif value:
                raise PartError(
                    f"{self.path.name}: expected the colours of the map, got {unpack_colour(value)}; masks "
                    "must be stored without loss, never as JPEG"
                )


def pack_colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Join red, green and blue, uint8 ``[height, width, 3]``, into one number each."""
    wide = pixels.astype(np.int64)
    packed: npt.NDArray[np.int64] = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    return packed


def pack_colour(colour: tuple[int, int, int]) -> int:
    """Join red, green and blue into one number."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def unpack_colour(value: int) -> tuple[int, int, int]:
    """Undo ``pack_colour``."""
    return value >> 16, value >> 8 & 255, value & 255


def read_mask(path: Path, *, colours: bool = False) -> npt.NDArray[np.uint8]:
    """Read a picture of masks.

    Args:
        path: of the file.
        colours: whether its colours count: uint8 ``[height, width, 3]`` instead of ``[height, width]``.

    Raises:
        PartError: if it is no such picture.
    """
    try:
        with Image.open(path) as image:
            if image.format not in ("PNG", "BMP", "TIFF", "GIF"):
                raise PartError(f"{path.name}: expected a mask stored without loss, got a {image.format}")
            if colours:
                return np.asarray(image.convert("RGB"))
            if image.mode in ("L", "P"):
                return np.asarray(image)
            if image.mode == "1":
                return np.asarray(image).astype(np.uint8)
            pixels = np.asarray(image)
    except PartError:
        raise
    except Exception as error:  # decoders raise any error of their parsing
        raise PartError(f"{path.name}: not readable as a mask ({error})") from error
    if pixels.ndim == 2 and pixels.min() >= 0 and pixels.max() < 256:  # 16 or 32 bits
        return pixels.astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] >= 3 and (pixels[..., :1] == pixels[..., 1:3]).all():
        return np.ascontiguousarray(pixels[..., 0])  # grey, stored as colour
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return np.ascontiguousarray(pixels[..., 0])
    raise PartError(f"{path.name}: expected an index of classes from 0 to 255, got a picture of colours")
