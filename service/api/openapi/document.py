"""The OpenAPI document beyond the types: introduction, tags, bodies, and examples of parameters."""

from typing import Any

from service.api.uploads import RAW_TYPES

DESCRIPTION = """
Finds surface defects on photographs of steel strip and answers a mask and a probability for each class
of defect. `GET /model` says which classes the model knows, and the size of its tile; the shipped models
have four classes and tiles of 1600 x 256 pixels. A larger image is answered in overlapping tiles, and its
masks are of the whole image.

Try it: open **POST /predict**, press *Try it out*, choose an image file and press *Execute*.

Masks are written as Kaggle's run-length code: pairs of start and length; pixels are numbered from 1,
top to bottom, then left to right. In Python:

```python
import numpy as np

def decode(rle, height=256, width=1600):  # of the image
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

TAGS = [
    {"name": "Strips", "description": "Send photographs, get defects."},
    {
        "name": "Model",
        "description": "The model that serves, its scores, and its replacement without a restart.",
    },
    {"name": "Health", "description": "For load balancers, orchestrators and Prometheus."},
    {
        "name": "Open Inference Protocol",
        "description": "The same answers as tensors, for clients of KServe and Triton.",
    },
]

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
            ("X-Filename", "Name of the image if it is the body itself."),
            ("X-Request-Id", "Up to 128 printable characters; returned, and written to the log."),
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
                            "description": "one image or several, of the model's tile size or larger: JPEG, "
                            "PNG, BMP, TIFF or WebP, 8-bit grey or RGB, or 16-bit grey",
                        }
                    },
                }
            },
            **dict.fromkeys(RAW_TYPES, _BINARY),
        },
    },
}


def _per_class(one: str, four: str) -> dict[str, dict[str, str]]:
    """Examples of a parameter with a value for all classes, or one for each of a shipped model's."""
    return {
        "none": {"summary": "as the profile says", "value": ""},
        "one": {"summary": "the same for every class", "value": one},
        "four": {"summary": "one per class, for a model of four", "value": four},
    }


_PARAMETER_EXAMPLES = {
    "profile": {
        "inspection": {"summary": "finds rare defects too", "value": "inspection"},
        "kaggle": {"summary": "highest mean Dice", "value": "kaggle"},
    },
    "class_threshold": _per_class("0.5", "0.5,0.4,0.5,0.6"),
    "threshold": _per_class("0.5", "0.5,0.4,0.5,0.6"),
    "mm_per_px": {
        "none": {"summary": "pixels only", "value": ""},
        "square": {"summary": "as wide as high", "value": "0.5"},
        "two": {"summary": "width and height", "value": "0.5,0.4"},
    },
    "min_area": _per_class("300", "200,200,300,500"),
}
"""Values that the page offers for each field; the first is the initial one."""


def add_parameter_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Add examples of parameters; pydantic's models of query parameters cannot carry them."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in _PARAMETER_EXAMPLES:
                    parameter["examples"] = _PARAMETER_EXAMPLES[parameter["name"]]
    return document
