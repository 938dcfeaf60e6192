"""Tensors of the Open Inference Protocol: in JSON, and as binary data after the JSON.

Source of the binary form: Triton's "Binary tensor data extension". Elements are little-endian and row-major;
an element of BYTES is its length, four bytes, followed by its bytes.
"""

import binascii
import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.v2.schemas import TensorMetadata
from service.errors import InvalidParameterError, PayloadTooLargeError
from service.masks.formats import bits_type

INPUT = TensorMetadata(name="image", datatype="BYTES", shape=(-1,))

_LENGTH = struct.Struct("<I")
_NUMBERS = np.array([f"{value:3}," for value in range(256)], dtype="S4")
"""The JSON of each byte, all of one width: indexing encodes an image in a twentieth of json's time."""


def outputs_of(classes: int) -> tuple[TensorMetadata, ...]:
    """Return the outputs of a model with so many classes; height and width of a mask are the image's."""
    bits = 8 * bits_type(classes).itemsize
    return (
        TensorMetadata(name="class_probability", datatype="FP32", shape=(-1, classes)),
        TensorMetadata(name="present", datatype="BOOL", shape=(-1, classes)),
        TensorMetadata(name="mask", datatype=f"UINT{bits}", shape=(-1, -1, -1)),
        TensorMetadata(name="rle", datatype="BYTES", shape=(-1, classes)),
        TensorMetadata(name="verdict", datatype="BYTES", shape=(-1,)),
        TensorMetadata(name="reason", datatype="BYTES", shape=(-1,)),
    )


Values = npt.NDArray[Any] | Sequence[bytes]
"""Numbers in their shape, or the elements of a BYTES tensor, row by row."""


class Tensor(NamedTuple):
    """A tensor to write."""

    metadata: TensorMetadata
    values: Values
    binary: bool
    """Whether it follows the JSON."""


def split_bytes(data: memoryview, count: int, most: int) -> list[bytes]:
    """Read the elements of a BYTES tensor.

    Args:
        data: its binary data.
        count: number of elements, by the shape.
        most: largest element, in bytes.

    Raises:
        InvalidParameterError: if the data does not hold exactly these elements.
        PayloadTooLargeError: if an element is too large.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data):
        name = f"{INPUT.name}[{len(found)}]"
        if len(found) == count:
            raise wrong(INPUT.name, f"expected {count} elements by its shape, got more bytes than they take")
        if at + _LENGTH.size > len(data):
            raise wrong(name, f"expected a length of four bytes, got {len(data) - at}")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        _check_size(name, length, most)
        if at + length > len(data):
            raise wrong(name, f"expected {length} bytes, its length, got {len(data) - at}")
        found.append(bytes(data[at : at + length]))
        at += length
    if len(found) < count:
        raise wrong(INPUT.name, f"expected {count} elements by its shape, got {len(found)}")
    return found


def join_bytes(elements: Sequence[bytes]) -> bytes:
    """Write the elements of a BYTES tensor as binary data."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def from_base64(name: str, text: object, most: int) -> bytes:
    """Read an element of a BYTES tensor in JSON.

    Args:
        name: of the element, for errors.
        text: the element, in base64.
        most: largest element, in bytes.

    Raises:
        InvalidParameterError: if it is not base64.
        PayloadTooLargeError: if it is too large.
    """
    if not isinstance(text, str):
        raise wrong(name, "expected an image file in base64, got another type")
    _check_size(name, len(text) // 4 * 3 - 2, most)
    try:
        file = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise wrong(name, f"expected an image file in base64: {error}") from error
    _check_size(name, len(file), most)
    return file


def _check_size(name: str, length: int, most: int) -> None:
    if length > most:
        raise PayloadTooLargeError(f"{name}: expected at most {most} bytes, got {length}")


def wrong(where: str, detail: str) -> InvalidParameterError:
    """Build the error for one place of a request."""
    where = shown(where)
    return InvalidParameterError(where, f"{where}: {detail}")


def shown(text: str) -> str:
    """Shorten text from a caller, so that errors do not repeat megabytes of it."""
    return text if len(text) <= 80 else f"{text[:80]}…"


def write_response(
    model: tuple[str, str], request_id: str, tensors: Sequence[Tensor], count: int
) -> tuple[bytes, int | None]:
    """Write the body of an answer, and the length of its JSON if binary data follow.

    Args:
        model: name and version.
        request_id: returned to the client.
        tensors: in order.
        count: number of images.
    """
    outputs: list[bytes] = []
    tail: list[bytes] = []
    for metadata, values, binary in tensors:
        shape = values.shape[1:] if isinstance(values, np.ndarray) else metadata.shape[1:]
        fields: dict[str, object] = {
            "name": metadata.name,
            "datatype": metadata.datatype,
            "shape": [count, *shape],
        }
        if binary:
            tail.append(_binary(values))
            fields["parameters"] = {"binary_data_size": len(tail[-1])}
            outputs.append(_json(fields))
        else:
            outputs.append(_json(fields)[:-1] + b',"data":' + _json_values(values) + b"}")
    head = _json({"model_name": model[0], "model_version": model[1], "id": request_id})
    text = head[:-1] + b',"outputs":[' + b",".join(outputs) + b"]}"
    return b"".join([text, *tail]), len(text) if tail else None


def _binary(values: Values) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return join_bytes(values)


def _json_values(values: Values) -> bytes:
    if not isinstance(values, np.ndarray):
        return _json([element.decode() for element in values])
    flat = values.reshape(-1)
    if values.dtype == np.uint8:
        return b"[" + _NUMBERS[flat].tobytes()[:-1] + b"]"
    # The fewest digits that give the same float32.
    return _json([float(str(value)) for value in flat] if values.dtype == np.float32 else flat.tolist())


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
