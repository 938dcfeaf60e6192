"""Tensors of the Open Inference Protocol, held against Triton's own codec."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferResult
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from service.api.v2.tensors import Tensor, Values, join_bytes, outputs_of, split_bytes, write_response
from service.errors import InvalidParameterError, PayloadTooLargeError
from tests.support.tensors import FILES, objects


@given(FILES)
def test_elements_come_back_from_binary_data(files: list[bytes]) -> None:
    data = join_bytes(files)
    assert split_bytes(memoryview(data), len(files), 100) == files
    assert serialize_byte_tensor(objects(files)).item() == data
    assert deserialize_bytes_tensor(data).tolist() == files


@given(st.binary(max_size=300), st.integers(1, 8))
def test_any_bytes_are_elements_or_refused(data: bytes, count: int) -> None:
    try:
        found = split_bytes(memoryview(data), count, 100)
    except (InvalidParameterError, PayloadTooLargeError):
        return
    assert len(found) == count
    assert join_bytes(found) == data


def values_of(count: int, classes: int, kind: type[np.unsignedinteger]) -> dict[str, Values]:
    random = np.random.default_rng(count)
    return {
        "class_probability": random.random((count, classes), dtype=np.float32),
        "present": random.random((count, classes)) < 0.5,
        "mask": random.integers(0, np.iinfo(kind).max, (count, 100, 300), dtype=kind),
        "verdict": [b"ok", b"suspect"][:count],
        "reason": ["größer".encode(), b"b"][:count],
        "rle": [b"" if number % 2 else b"1 20 300 4" for number in range(classes * count)],
    }


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("classes", "kind"), [(1, np.uint8), (8, np.uint8), (9, np.uint16), (32, np.uint32)])
def test_the_client_reads_every_value_of_an_answer(
    binary: bool, count: int, classes: int, kind: type[np.unsignedinteger]
) -> None:
    values = values_of(count, classes, kind)
    tensors = [Tensor(one, values[one.name], binary) for one in outputs_of(classes)]
    body, length = write_response(("tiny", "1"), 'an "id" ä', tensors, count)
    result = InferResult.from_response_body(body, header_length=length)
    assert result.get_response()["id"] == 'an "id" ä'
    assert (length is not None) is binary
    for name, wanted in values.items():
        found = result.as_numpy(name)
        if isinstance(wanted, np.ndarray):
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)
        else:
            texts = [one if isinstance(one, str) else one.decode() for one in found.reshape(-1)]
            assert texts == [one.decode() for one in wanted]
