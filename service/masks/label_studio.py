"""Label Studio's brush: its run-length code for masks, regions of tasks, and the labelling interface.

A stream of bits: 32 for the count of values, 5 for the bits of a value less 1, four times 4 for the bits of a
length less 1; then blocks: 1 bit (run or single values), 2 bits for which of the four sizes the length has,
the length less 1, the value or values. The values are those of an RGBA image, row by row.
Source: @thi.ng/rle-pack, and ``brush.py`` of Label Studio's converter.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from service.geometry import ColumnMask
from service.masks.palette import COLOURS
from service.masks.rle import RleError

_FROM, _TO = "defects", "strip"

_CHANNELS = 4
_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)


def brush_region(class_id: int, name: str, probability: float, mask: ColumnMask) -> dict[str, Any]:
    """Return a mask as a region of a task's prediction."""
    return {
        "id": f"class-{class_id}",
        "type": "brushlabels",
        "from_name": _FROM,
        "to_name": _TO,
        "original_width": mask.shape[0],
        "original_height": mask.shape[1],
        "image_rotation": 0,
        "score": probability,
        "value": {"format": "rle", "rle": encode(mask), "brushlabels": [name]},
    }


def labelling_interface(names: Mapping[int, str]) -> str:
    """Return the labelling interface, XML, for all classes of a model by their ids."""
    labels = [
        f'    <Label value={quoteattr(name)} background="#{bytes(COLOURS[position]).hex()}"/>'
        for position, (_, name) in enumerate(sorted(names.items()))
    ]
    return "\n".join(
        [
            "<View>",
            f'  <Image name="{_TO}" value="$image" zoom="true" zoomControl="true" brightnessControl="true"/>',
            f'  <BrushLabels name="{_FROM}" toName="{_TO}">',
            *labels,
            "  </BrushLabels>",
            "</View>",
            "",
        ]
    )


def encode(mask: ColumnMask) -> list[int]:
    """Encode a mask as bytes."""
    pixels = np.ascontiguousarray(mask.T, dtype=np.bool_).reshape(-1)
    edges = np.flatnonzero(np.diff(pixels)) + 1
    starts = np.concatenate([[0], edges]) if pixels.size else edges
    lengths = np.diff(starts, append=pixels.size) * _CHANNELS
    header = [f"{pixels.size * _CHANNELS:032b}", f"{_VALUE_BITS - 1:05b}"]
    header += [f"{bits - 1:04b}" for bits in _LENGTH_BITS]
    runs = zip(lengths.tolist(), pixels[starts].tolist(), strict=True)
    bits = "".join([*header, *(block for length, value in runs for block in _blocks(length, value))])
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _blocks(length: int, value: bool) -> Iterator[str]:
    while length > 0:
        part = min(length, 1 << _LENGTH_BITS[-1])
        size = next(number for number, bits in enumerate(_LENGTH_BITS) if part <= 1 << bits)
        yield f"1{size:02b}{part - 1:0{_LENGTH_BITS[size]}b}" + str(int(value)) * _VALUE_BITS
        length -= part


def decode(code: Sequence[int], *, height: int, width: int) -> ColumnMask:
    """Decode bytes into a mask: True where the image is not transparent.

    Raises:
        RleError: if the bytes are not such a code, or one of another image size.
    """
    values = _Bits(code).values(height * width * _CHANNELS)
    return np.ascontiguousarray(values.reshape(height, width, _CHANNELS)[:, :, _CHANNELS - 1].T > 0)


class _Bits:
    """Reads whole numbers from a stream of bits."""

    def __init__(self, code: Sequence[int]) -> None:
        try:
            data = bytes(code)
        except (TypeError, ValueError) as error:
            raise RleError(f"expected a list of bytes as brush code: {error}") from error
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._text = self._bits.astype("S1").tobytes()  # the characters 0 and 1
        self._place = 0

    def _read(self, bits: int) -> int:
        word = self._text[self._place : self._place + bits]
        if len(word) < bits:
            raise RleError("the brush code ends too early")
        self._place += bits
        return int(word, 2)

    def values(self, expected: int) -> npt.NDArray[np.uint8]:
        """Read the header and all values, uint8 ``[expected]``."""
        count, value_bits = self._read(32), self._read(5) + 1
        if count != expected or value_bits != _VALUE_BITS:
            raise RleError(
                f"expected a brush code of {expected} values of {_VALUE_BITS} bits, "
                f"got {count} of {value_bits} bits"
            )
        length_bits = [self._read(4) + 1 for _ in _LENGTH_BITS]
        out = np.zeros(count, dtype=np.uint8)
        done = 0
        while done < count:
            run = self._read(1)
            length = self._read(length_bits[self._read(2)]) + 1
            if done + length > count:
                raise RleError(f"expected a brush code of {count} values, got more")
            out[done : done + length] = self._read(value_bits) if run else self._single(length)
            done += length
        return out

    def _single(self, count: int) -> npt.NDArray[np.uint8]:
        bits = self._bits[self._place : self._place + count * _VALUE_BITS]
        if bits.size < count * _VALUE_BITS:
            raise RleError("the brush code ends too early")
        self._place += bits.size
        return np.packbits(bits)
