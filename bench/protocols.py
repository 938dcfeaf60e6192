"""How a strip is asked of a server, and where its answer lies in the reply."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bench.jobs import ClassAnswer

_BOUNDARY = "strips-of-steel"


@dataclass(frozen=True)
class Reply:
    """What a server answered to one strip."""

    classes: tuple[ClassAnswer, ...]
    inference_ms: float | None
    """What the server says its inference took, where it says that."""


@dataclass(frozen=True)
class Protocol:
    """One way to ask."""

    path: str
    headers: Mapping[str, str]
    body: Callable[[bytes], bytes]
    """From an image file to the body of a request."""
    read: Callable[[bytes], Reply]
    """From the body of a reply to what it says. Raises whatever a body of another shape makes it raise."""


def protocols() -> dict[str, Protocol]:
    """List the ways to ask, by name."""
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
    """Write an inference request of the V2 protocol with the file as base64, as MLServer's codecs do."""
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
