"""What the OpenAPI page says beyond the types: bodies, examples and errors."""

from typing import Any

from service.open_inference_schemas import InferRequest
from service.problems import MEDIA_TYPE
from service.schemas import Problem
from service.uploads import RAW_TYPES

DESCRIPTION = """
Finds surface defects on photographs of steel strip (1600 x 256 pixels) and answers a mask and a
probability for each of four classes of defect.

Try it: open **POST /predict**, press *Try it out*, choose an image file and press *Execute*.

Masks are written as Kaggle's run-length code: pairs of start and length; pixels are numbered from 1,
top to bottom, then left to right. In Python:

```python
import numpy as np

def decode(rle, height=256, width=1600):
    numbers = np.array(rle.split(), dtype=int)
    mask = np.zeros(height * width, dtype=bool)
    for start, length in zip(numbers[::2], numbers[1::2]):
        mask[start - 1 : start - 1 + length] = True
    return mask.reshape(width, height).T
```

Errors are `application/problem+json` (RFC 9457). Every answer carries `X-Request-Id`.
"""

BINARY = {"type": "string", "format": "binary"}
_BINARY = {"schema": BINARY}

BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": text,
        }
        for name, text in (
            ("X-Filename", "Names the image when it is the body itself."),
            ("X-Request-Id", "Up to 128 printable characters; comes back, and stands in the log."),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "one image or several, 1600 wide and 256 high: JPEG, PNG, BMP, "
                            "TIFF or WebP, 8-bit grey or RGB, or 16-bit grey",
                        }
                    },
                }
            },
            **dict.fromkeys(RAW_TYPES, _BINARY),
        },
    },
}

_INFER_EXAMPLE = {
    "id": "cam3-0042",
    "parameters": {"profile": "inspection"},
    "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["/9j/4AAQSkZJRg…"]}],
    "outputs": [{"name": "class_probability"}, {"name": "rle"}],
}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put in what a schema refers to: it stands where nothing collects definitions."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(part, definitions) for key, part in schema.items() if key != "$defs"}


def _infer_body() -> dict[str, Any]:
    schema = InferRequest.model_json_schema()
    json = {"schema": _inlined(schema, schema["$defs"]), "example": _INFER_EXAMPLE}
    octets = {"schema": BINARY | {"description": "the JSON, and binary data behind it"}}
    content = {"application/json": json, "application/octet-stream": octets}
    return {"requestBody": {"required": True, "content": content}}


INFER_BODY = _infer_body()

_PARAMETER_EXAMPLES = {
    "profile": {
        "inspection": {"summary": "finds rare defects too", "value": "inspection"},
        "kaggle": {"summary": "highest mean Dice", "value": "kaggle"},
    },
    "threshold": {
        "none": {"summary": "as the profile says", "value": ""},
        "one": {"summary": "the same for every class", "value": "0.5"},
        "four": {"summary": "one per class", "value": "0.5,0.4,0.5,0.6"},
    },
    "mm_per_px": {
        "none": {"summary": "pixels only", "value": ""},
        "square": {"summary": "as wide as high", "value": "0.5"},
        "two": {"summary": "width and height", "value": "0.5,0.4"},
    },
    "min_area": {
        "none": {"summary": "as the profile says", "value": ""},
        "one": {"summary": "the same for every class", "value": "300"},
        "four": {"summary": "one per class", "value": "200,200,300,500"},
    },
}
"""On the page these fill the fields in; the first of each is what is there at the start."""

_DESCRIPTIONS = {
    401: "An API key is configured and `X-API-Key` is missing or wrong.",
    403: "No API key is configured, so that nobody may do this.",
    404: "No model of this name or version serves.",
    408: "The body did not arrive in time.",
    409: "Another reload is under way.",
    413: "Too many bytes, files or pixels.",
    415: "Not an image type that is read.",
    422: "A parameter is wrong, or an image cannot be decoded or has the wrong size.",
    429: "The queue is full; `Retry-After` says in how many seconds there should be room.",
    500: "Anything else; the service's log has the reason under the request id.",
    503: "Not ready yet, or shutting down; see `Retry-After`.",
    504: "The request's deadline passed; work that could not meet it was not begun.",
}

_EXAMPLES: dict[int, tuple[str, str]] = {
    401: ("API key missing or wrong", "X-API-Key is missing or wrong"),
    403: ("Not allowed", "the model can be reloaded only where an API key is configured"),
    404: ("Not Found", "there is no model 'steel' here; 'steel-unet-resnet18', version '3', serves"),
    408: ("Request Timeout", "the body did not arrive in 10 s"),
    409: ("Reload under way", "another reload is under way; ask again when it is done"),
    413: ("Payload too large", "the body has 50000000 bytes; at most 33554432 are taken"),
    415: (
        "Unsupported media type",
        "the file is not an image of a type read here (JPEG, PNG, BMP, TIFF, WEBP); it begins with the bytes "
        "25 50 44 46 2d 31 2e 37",
    ),
    422: ("Invalid image", "the PNG is 800 wide and 600 high; 1600 wide and 256 high is wanted"),
    429: ("Queue full", "64 strips are waiting already"),
    500: (
        "Internal error",
        "the service failed on this request; its log has the reason under the request id",
    ),
    503: ("Not ready", "the model is being loaded"),
    504: ("Deadline exceeded", "the deadline passed before the answer was ready"),
}


def add_parameter_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Add examples that the page offers to try; parameters that come from a model cannot carry them."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in _PARAMETER_EXAMPLES:
                    parameter["examples"] = _PARAMETER_EXAMPLES[parameter["name"]]
    return document


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document error answers, each with an example."""
    return {status: _problem(status, _DESCRIPTIONS[status], *_EXAMPLES[status]) for status in statuses}


def model_refused() -> dict[int | str, dict[str, Any]]:
    """Document the answer to a reload whose model is refused."""
    detail = "the model was not changed: models/steel/2/model.onnx has no checksum beside it"
    return {422: _problem(422, "The new model was refused; the old one goes on.", "Model refused", detail)}


def _problem(status: int, description: str, title: str, detail: str) -> dict[str, Any]:
    example = {
        "type": f"urn:steel:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": "5b1f0b0c9d5e4f1f8a3c2d1e0f9a8b7c",
    }
    return {
        "description": description,
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}, "example": example}
        },
    }
