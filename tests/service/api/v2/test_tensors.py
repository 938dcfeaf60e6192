"""The codec of the Open Inference Protocol, held against Triton's own."""

import base64
import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from service.api.v2.requests import Limits, read_request
from service.api.v2.tensors import OUTPUTS, Tensor, Values, join_bytes, split_bytes, write_response
from service.errors import InvalidParameterError, PayloadTooLargeError

LIMITS = Limits(files=8, file_bytes=100)
FILES = st.lists(st.binary(max_size=100), min_size=1, max_size=8)


def objects(elements: list[bytes]) -> Any:
    found = np.empty(len(elements), dtype=np.object_)
    found[:] = elements
    return found


@given(FILES)
def test_elements_come_back_from_binary_data(files: list[bytes]) -> None:
    data = join_bytes(files)
    assert split_bytes(memoryview(data), len(files), 100) == files
    assert serialize_byte_tensor(objects(files)).item() == data
    assert deserialize_bytes_tensor(data).tolist() == files


@given(FILES, st.booleans(), st.booleans(), st.sampled_from([one.name for one in OUTPUTS]))
def test_requests_of_the_client_are_read(files: list[bytes], column: bool, binary: bool, name: str) -> None:
    values = objects(files).reshape(-1, 1) if column else objects(files)
    tensor = InferInput("image", list(values.shape), "BYTES")
    tensor.set_data_from_numpy(values)
    outputs = [InferRequestedOutput(name, binary_data=binary)]
    body, length = InferenceServerClient.generate_request_body([tensor], outputs=outputs, request_id="7")
    asked = read_request(body, length, LIMITS)
    assert (asked.id, asked.files) == ("7", files)
    assert [(wanted.name, as_binary) for wanted, as_binary in asked.outputs] == [(name, binary)]


@given(FILES)
def test_files_come_back_from_base64(files: list[bytes]) -> None:
    data = [base64.b64encode(file).decode() for file in files]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(files)], "data": data}
    assert read_request(json.dumps({"inputs": [tensor]}).encode(), None, LIMITS).files == files


@given(st.binary(max_size=300), st.integers(1, 8))
def test_any_bytes_are_elements_or_refused(data: bytes, count: int) -> None:
    try:
        found = split_bytes(memoryview(data), count, 100)
    except (InvalidParameterError, PayloadTooLargeError):
        return
    assert len(found) == count
    assert join_bytes(found) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("id", "parameters", "outputs", "name", "shape", "datatype", "data", "timeout", "threshold")


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_is_a_request_or_refused(request: dict[str, Any], tensor: dict[str, Any]) -> None:
    good = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}
    body = json.dumps({"inputs": [good | tensor]} | request).encode()
    for length in (None, len(body), len(body) // 2):
        with contextlib.suppress(InvalidParameterError, PayloadTooLargeError):
            assert len(read_request(body, length, LIMITS).files) >= 1


def values_of(count: int, seed: int) -> dict[str, Values]:
    random = np.random.default_rng(seed)
    return {
        "class_probability": random.random((count, 4), dtype=np.float32),
        "present": random.random((count, 4)) < 0.5,
        "mask": random.integers(0, 256, (count, 256, 1600), dtype=np.uint8),
        "rle": [b"" if number % 2 else b"1 20 300 4" for number in range(4 * count)],
    }


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_the_client_reads_every_value_of_an_answer(binary: bool, count: int) -> None:
    values = values_of(count, seed=count)
    tensors = [Tensor(one, values[one.name], binary) for one in OUTPUTS]
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
