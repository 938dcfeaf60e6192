"""The answer of ``GET /model``, as far as clients need it."""

from pydantic import BaseModel, ValidationError

from steel_client.errors import error_from_body


class ProfileInfo(BaseModel):
    """An operating point of the model."""

    name: str


class ClassInfo(BaseModel):
    """A class of defect that the model knows."""

    id: int
    name: str


class ModelInfo(BaseModel):
    """The model that a service runs."""

    name: str
    version: str
    sha256: str
    """Of the model file."""
    width: int
    """Of a tile, the network's input, in pixels; the service cuts a larger image into tiles."""
    height: int
    pad: bool = False
    """Whether a smaller image is padded by mirroring, or refused, if a request does not say."""
    classes: list[ClassInfo]
    """In ascending order of ids, as in every answer."""
    profiles: list[ProfileInfo]


def read_model(body: bytes) -> ModelInfo:
    """Parse an answer.

    Raises:
        SteelError: if the body is not such an answer.
    """
    try:
        return ModelInfo.model_validate_json(body)
    except ValidationError as error:
        raise error_from_body(body, error) from error
