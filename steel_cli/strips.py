"""Copies of strips for tools that would show the files otherwise than the service reads them."""

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image as PillowImage

from service.errors import ServiceError
from service.files import whole_file
from service.images.decode import SIXTEEN_BIT
from service.images.orientation import orientation
from steel_cli.answer import Strip, printable
from steel_cli.pictures import decode_strip, picture_name
from steel_client.results import Image


class Strips:
    """Folder with a copy of each strip as the service reads it: grey, 8 bits, as stored.

    Args:
        folder: created when it is needed.
        bits: of a pixel in 16-bit files; None for as many as an image needs, if not all 16.
        say: takes messages for the operator.
    """

    def __init__(self, folder: Path, bits: str | None, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._bits = bits
        self._say = say

    def save(self, strip: Strip, image: Image) -> None:
        """Write the copy of a strip that was answered; see ``pictures.picture_name`` for its name."""
        target = self._folder / picture_name(strip.name)
        try:
            pixels = decode_strip(strip.data, self._bits, image)
        except ServiceError as error:
            self._say(f"no copy of {printable(strip.name)}: {error.detail}")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as unfinished:
            PillowImage.fromarray(pixels).save(unfinished, "PNG")


def otherwise_shown(data: bytes) -> str | None:
    """Return why a browser or a labelling tool shows a file otherwise than the service reads it.

    None if it does not, or the file is no image.
    """
    try:
        with PillowImage.open(io.BytesIO(data)) as image:
            if image.format == "TIFF":
                return "browsers show no TIFF"
            if image.mode in SIXTEEN_BIT:
                return "16 bits"
            turned = orientation(image)
            return None if turned == 1 else f"EXIF orientation {turned}"
    except (OSError, SyntaxError, ValueError):
        return None
