"""Pictures of strips with their masks."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from service.errors import ServiceError
from service.files import whole_file
from service.geometry import Strip
from service.images.decode import decode
from service.masks.overlay import Layer, class_caption, draw_overlay
from service.model.verdict import verdict_line
from steel_cli.answer import Answer, printable
from steel_cli.images import is_image
from steel_client.results import Image

_MAX_NAME_BYTES = 255
"""Longest name of a file on most systems."""


class Pictures:
    """Folder with a picture of each strip that is not ok: with a defect, suspect or not inspected.

    Args:
        folder: created when it is needed.
        bits: of a pixel in 16-bit files; None for as many as an image needs, if not all 16.
        say: takes messages for the operator.
    """

    def __init__(self, folder: Path, bits: str | None, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._bits = bits
        self._say = say

    def save(self, answer: Answer) -> None:
        """Write the picture of an answer; remove that of an earlier version of the file if there is none."""
        target = self._folder / picture_name(answer.strip.name)
        if answer.image is None or answer.image.verdict == "ok":
            target.unlink(missing_ok=True)
            return
        try:
            strip = decode_strip(answer.strip.data, self._bits, answer.image)
        except ServiceError as error:  # of a newer service, perhaps: the answer counts without a picture
            self._say(f"no picture of {printable(answer.strip.name)}: {error.detail}")
            return
        picture = draw(strip, answer.image)
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as unfinished:
            unfinished.write_bytes(picture)

    def complete(self, answer: Answer) -> None:
        """Write the picture of an earlier answer if it is missing."""
        if not (self._folder / picture_name(answer.strip.name)).exists():
            self.save(answer)


def picture_name(name: str) -> str:
    """Return the name of a strip's picture: its own, with ``.png`` behind it if it does not end so.

    ``a.jpg.png`` gets one more, since it is the picture of ``a.jpg``: no two strips share a picture.
    """
    path = PurePosixPath(name)
    if path.suffix.lower() != ".png" or is_image(path.stem):
        path = path.with_name(f"{path.name}.png")
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        path = path.with_name(hashlib.sha256(os.fsencode(path.name)).hexdigest() + ".png")
    return path.as_posix()


def decode_strip(data: bytes, bits: str | None, image: Image) -> Strip:
    """Decode a strip or frame as the service did, whose answer says how many pixels it has.

    Raises:
        ServiceError: if it cannot be decoded here.
    """
    pixels = (image.result.width or 0) * (image.result.height or 0)
    if bits is not None:
        return decode(data, max_pixels=pixels, bits=int(bits))
    # A service may know the bits from STEEL_BITS, and its answer does not say them: take the fewest that fit.
    for fewer in (None, 10, 12):
        with contextlib.suppress(ServiceError):
            return decode(data, max_pixels=pixels, bits=fewer)
    return decode(data, max_pixels=pixels, bits=14)


def draw(strip: Strip, image: Image) -> bytes:
    """Draw the masks of an answer over its strip, with a legend and the verdict, as a PNG."""
    layers = [
        Layer(
            position,
            class_caption(found.result.class_id, found.result.name, found.result.probability),
            found.mask.T,
        )
        for position, found in enumerate(image.classes)
        if found.result.present
    ]
    return draw_overlay(strip, layers, verdict_line(image.verdict, image.reason))
