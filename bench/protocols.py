"""Protocols of the servers: how to send a strip and read the answer."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bench.jobs import ClassAnswer

_BOUNDARY = "strips-of-steel"


@dataclass(frozen=True)
class Reply:
    """Answer of a server to one strip."""

    classes: tuple[ClassAnswer, ...]
    inference_ms: float | None
    """Inference time that the server reports; None if it reports none."""


@dataclass(frozen=True)
class Protocol:
    """Requests and replies of one kind of server."""

    path: str
    headers: Mapping[str, str]
    body: Callable[[bytes], bytes]
    """Encodes an image file as the body of a request."""
    read: Callable[[bytes], Reply]
    """Parses the body of a reply; an unexpected body raises KeyError, IndexError, TypeError or ValueError."""


def protocols() -> dict[str, Protocol]:
    """Return the protocols by name."""
    raw = {"Content-Type": "image/jpeg"}
    form = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return {
        "service": Protocol("/predict", raw, lambda data: data, _read_service),
        "service-multipart": Protocol("/predict", form, _multipart, _read_service),
        "raw": Protocol("/predict", raw, lambda data: data, _read_classes),
        "multipart": Protocol("/predict", form, _multipart, _read_classes),
        "mlserver": Protocol(
            "/v2/models/strips/infer", {"Content-Type": "application/json"}, _v2_request, _read_v2
        ),
    }


def _multipart(data: bytes) -> bytes:
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="strip.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _v2_request(data: bytes) -> bytes:
    """Encode an inference request of the V2 protocol with the file as base64, as MLServer's codecs do."""
    image = {
        "name": "image",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(data).decode("ascii")],
    }
    return orjson.dumps({"inputs": [image]})


def _read_service(body: bytes) -> Reply:
    reply = orjson.loads(body)
    return Reply(_classes(reply["images"][0]), reply["timing_ms"]["inference"])


def _read_classes(body: bytes) -> Reply:
    return Reply(_classes(orjson.loads(body)), None)


def _read_v2(body: bytes) -> Reply:
    reply = orjson.loads(body)
    return Reply(_classes(orjson.loads(reply["outputs"][0]["data"][0])), None)


def _classes(answer: Any) -> tuple[ClassAnswer, ...]:
    return tuple((found["present"], found["rle"]) for found in answer["classes"])
