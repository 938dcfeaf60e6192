"""Requests of the Open Inference Protocol, as Triton's client writes them."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from service.api.uploads import UploadLimits
from service.api.v2.requests import read_request
from service.api.v2.tensors import outputs_of
from service.errors import InvalidParameterError, PayloadTooLargeError
from tests.support.tensors import FILES, objects

LIMITS = UploadLimits(files=8, file_bytes=100)
OUTPUTS = outputs_of(7)


@given(FILES, st.booleans(), st.booleans(), st.sampled_from([one.name for one in OUTPUTS]))
def test_requests_of_the_client_are_read(files: list[bytes], column: bool, binary: bool, name: str) -> None:
    values = objects(files).reshape(-1, 1) if column else objects(files)
    tensor = InferInput("image", list(values.shape), "BYTES")
    tensor.set_data_from_numpy(values)
    outputs = [InferRequestedOutput(name, binary_data=binary)]
    body, length = InferenceServerClient.generate_request_body([tensor], outputs=outputs, request_id="7")
    asked = read_request(body, length, LIMITS, OUTPUTS)
    assert (asked.id, asked.files) == ("7", files)
    assert [(wanted.name, as_binary) for wanted, as_binary in asked.outputs] == [(name, binary)]


@given(FILES)
def test_files_come_back_from_base64(files: list[bytes]) -> None:
    data = [base64.b64encode(file).decode() for file in files]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(files)], "data": data}
    assert read_request(json.dumps({"inputs": [tensor]}).encode(), None, LIMITS, OUTPUTS).files == files


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
            assert len(read_request(body, length, LIMITS, OUTPUTS).files) >= 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("9" * 4301, "body"),
        ("9" * 4300, "parameters.min_area"),
        (f'"{"9" * 257}"', "parameters.min_area"),
        ("true", "parameters.min_area"),
        ("[1]", "parameters.min_area"),
    ],
)
def test_parameters_have_a_type_and_a_length(value: str, name: str) -> None:
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["/9j/"]}
    body = f'{{"inputs": [{json.dumps(image)}], "parameters": {{"min_area": {value}}}}}'
    with pytest.raises(InvalidParameterError) as caught:
        read_request(body.encode(), None, LIMITS, OUTPUTS)
    assert caught.value.name == name
    assert len(caught.value.detail) < 200
