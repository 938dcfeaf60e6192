"""Bodies that schemathesis cannot make up from a schema: strips, and requests with strips in them."""

import base64
import json

import schemathesis
from hypothesis import strategies

from tests.support.images import png
from tests.support.tiny_model import block_strip

_STRIPS = [png(block_strip()), png(block_strip(c1=(10, 20, 3, 4), c3=(100, 100, 50, 60)))]


def _infer_request(strip: bytes) -> bytes:
    data = [base64.b64encode(strip).decode()]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


# A third of the bodies each: what a route takes, what another one takes, and noise.
_STRIP = strategies.sampled_from(_STRIPS)
_BODY = strategies.one_of(_STRIP, _STRIP.map(_infer_request), strategies.binary())
for _kind in ("jpeg", "png", "bmp", "tiff", "webp"):
    schemathesis.openapi.media_type(f"image/{_kind}", _BODY)
schemathesis.openapi.media_type("application/octet-stream", _BODY)
