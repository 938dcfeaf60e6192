"""Parse infer requests of the Open Inference Protocol into image files and options."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from service.api.uploads import UploadLimits
from service.api.v2.schemas import InferRequest, RequestInput, RequestOutput, TensorMetadata
from service.api.v2.tensors import INPUT, from_base64, shown, split_bytes, wrong
from service.errors import PayloadTooLargeError, counted

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
"""Carries the length of the JSON, in bytes, where binary data follows it."""

_MAX_JSON_VALUES = 256
"""Most JSON values in a request besides its images: a value of two bytes takes many times that in memory."""
_MAX_PARAMETER_CHARACTERS = 256
_POINT_PARAMETERS = ("profile", "class_threshold", "threshold", "min_area", "bits", "pad")
_KNOWN_PARAMETERS = {*_POINT_PARAMETERS, "timeout", "binary_data_output"}
_IGNORED_PARAMETERS = {"priority", "sequence_id", "sequence_start", "sequence_end", "content_type"}
"""Accepted and ignored: clients of other servers send them; strips have no sequence and no priority."""
_REFUSED_PARAMETERS = ("classification", "shared_memory_region")
"""Tensor parameters that are refused: ignoring them would give the client an answer that it cannot use."""
_MAX_INTEGER = 2**63


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """An infer request."""

    id: str | None
    files: Sequence[bytes]
    """The image files."""
    point: dict[str, str]
    """Parameters about masks, not validated."""
    seconds: float | None
    """Time limit for the answer; None if the request has none."""
    outputs: Sequence[tuple[TensorMetadata, bool]]
    """The requested tensors, and whether as binary data."""


def read_request(
    body: bytes, json_bytes: int | None, limits: UploadLimits, outputs: Sequence[TensorMetadata]
) -> ParsedRequest:
    """Read the body of an infer request.

    Args:
        body: JSON, followed by binary data.
        json_bytes: length of the JSON; None if there is nothing else.
        limits: of the files.
        outputs: of the model.

    Raises:
        InvalidParameterError: if it does not follow the protocol, or requests an unsupported feature.
        PayloadTooLargeError: if there are too many files, or one is too large.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise wrong(
            JSON_LENGTH_HEADER, f"expected at most the length of the body, {len(body)}, got {json_bytes}"
        )
    text = body[:json_bytes]
    binary = None if json_bytes is None else memoryview(body)[json_bytes:]
    request = _parse(text, limits)
    parameters = request.parameters
    for name in parameters:
        if name not in _KNOWN_PARAMETERS | _IGNORED_PARAMETERS:
            raise wrong(f"parameters.{shown(name)}", "there is no such parameter")
    return ParsedRequest(
        request.id,
        _files(request.inputs[0], binary, limits),
        {name: _point_text(name, parameters[name]) for name in _POINT_PARAMETERS if name in parameters},
        _seconds(parameters.get("timeout", 0)),
        _requested(
            request.outputs, outputs, _flag(parameters, "binary_data_output", "parameters", default=False)
        ),
    )


def _parse(text: bytes, limits: UploadLimits) -> InferRequest:
    most = _MAX_JSON_VALUES + limits.files
    if sum(text.count(mark) for mark in b",[{") > most:
        raise PayloadTooLargeError(
            f"expected JSON of at most {most} values, got more; images are elements of one BYTES tensor, at "
            f"most {limits.files} of them"
        )
    try:
        return InferRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise wrong(where.removeprefix(".") or "body", str(first["msg"])) from error


def _files(tensor: RequestInput, binary: memoryview | None, limits: UploadLimits) -> list[bytes]:
    if (tensor.name, tensor.datatype) != (INPUT.name, INPUT.datatype):
        raise wrong(
            "inputs[0]",
            f"expected a {INPUT.datatype} tensor named {INPUT.name!r}, got {shown(tensor.datatype)} named "
            f"{shown(tensor.name)!r}",
        )
    _check_parameters(tensor.parameters, "inputs[0]")
    count = tensor.shape[0]
    if tensor.shape[1:] not in ([], [1]):
        raise wrong(
            "inputs[0].shape",
            f"expected [n] or [n, 1], n being the number of images, got {tensor.shape}",
        )
    if count > limits.files:
        raise PayloadTooLargeError(f"expected at most {counted(limits.files, 'image')}, got more")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if binary:
            raise wrong(
                "inputs[0].parameters.binary_data_size",
                "expected the number of bytes that follow the JSON, got none",
            )
        return _from_json(tensor.data, count, limits)
    if tensor.data is not None:
        raise wrong("inputs[0].data", "expected either data or binary_data_size, got both")
    if binary is None:
        raise wrong(
            JSON_LENGTH_HEADER, "expected the length of the JSON, since binary data is announced, got none"
        )
    size = _whole("inputs[0].parameters.binary_data_size", size)
    if size != len(binary):
        raise wrong(
            "inputs[0].parameters.binary_data_size",
            f"expected {len(binary)}, the number of bytes that follow the JSON, got {size}",
        )
    return split_bytes(binary, count, limits.file_bytes)


def _from_json(data: list[Any] | None, count: int, limits: UploadLimits) -> list[bytes]:
    if data is None:
        raise wrong("inputs[0].data", "expected image files in base64, or binary_data_size, got neither")
    # The protocol allows tensors as nested lists, too.
    flat = list(itertools.chain.from_iterable(row if isinstance(row, list) else [row] for row in data))
    if len(flat) != count:
        raise wrong("inputs[0].data", f"expected {count} elements by its shape, got {len(flat)}")
    return [from_base64(f"{INPUT.name}[{index}]", text, limits.file_bytes) for index, text in enumerate(flat)]


def _check_parameters(parameters: dict[str, Any], where: str) -> None:
    for name in _REFUSED_PARAMETERS:
        if name in parameters:
            raise wrong(f"{where}.parameters.{name}", "is not supported")


def _point_text(name: str, value: object) -> str:
    """Return a parameter as text, as a query has it."""
    if name == "pad" and isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong(f"parameters.{name}", "expected text or a number")
    text = str(value)  # of 4,300 digits at most: the JSON parser refuses longer integers, as Python does
    if len(text) > _MAX_PARAMETER_CHARACTERS:
        raise wrong(f"parameters.{name}", f"expected at most {_MAX_PARAMETER_CHARACTERS} characters")
    return text


def _seconds(microseconds: object) -> float | None:
    return _whole("parameters.timeout", microseconds) / 1e6 or None  # 0 means none in Triton


def _whole(where: str, value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_INTEGER:
        raise wrong(where, f"expected a whole number from 0 to {_MAX_INTEGER - 1}")
    return value


def _requested(
    requested: Sequence[RequestOutput] | None, outputs: Sequence[TensorMetadata], binary: bool
) -> list[tuple[TensorMetadata, bool]]:
    if not requested:
        return [(tensor, binary) for tensor in outputs]
    known = {tensor.name: tensor for tensor in outputs}
    found = []
    for index, output in enumerate(requested):
        where = f"outputs[{index}]"
        if output.name not in known:
            names = ", ".join(tensor.name for tensor in outputs)
            raise wrong(f"{where}.name", f"expected one of {names}, each once, got {shown(output.name)!r}")
        _check_parameters(output.parameters, where)
        binary_data = _flag(output.parameters, "binary_data", f"{where}.parameters", default=binary)
        found.append((known.pop(output.name), binary_data))
    return found


def _flag(parameters: dict[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise wrong(f"{where}.{name}", "expected true or false")
    return value
