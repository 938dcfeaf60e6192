"""The OpenAPI description of the body of an infer request."""

from typing import Any

from service.api.openapi.document import BINARY
from service.api.v2.schemas import InferRequest

_INFER_EXAMPLE = {
    "id": "cam3-0042",
    "parameters": {"profile": "inspection"},
    "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["/9j/4AAQSkZJRg…"]}],
    "outputs": [{"name": "class_probability"}, {"name": "rle"}],
}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace references by their definitions: FastAPI does not collect those of ``openapi_extra``."""
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
    octets = {"schema": BINARY | {"description": "the JSON, followed by binary data"}}
    content = {"application/json": json, "application/octet-stream": octets}
    return {"requestBody": {"required": True, "content": content}}


INFER_BODY = _infer_body()
