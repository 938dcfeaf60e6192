"""Requests and answers of every server."""

import base64
import json

import orjson

from bench.protocols import protocols
from tests.support.bench_answers import CLASSES, SEEN


def test_every_protocol_carries_the_image_and_reads_the_answer() -> None:
    service = {"images": [CLASSES], "timing_ms": {"inference": 3.5}}
    v2 = {"outputs": [{"data": [json.dumps(CLASSES)]}]}
    replies = {
        "service": service,
        "service-multipart": service,
        "raw": CLASSES,
        "multipart": CLASSES,
        "mlserver": v2,
    }
    assert set(replies) == set(protocols())
    for name, protocol in protocols().items():
        assert protocol.read(orjson.dumps(replies[name])).classes == SEEN, name
        body = protocol.body(b"a strip")
        assert b"a strip" in body or base64.b64encode(b"a strip") in body, name
