"""The answer of ``GET /model``, as far as clients need it."""

from pydantic import BaseModel

from steel_client.errors import SteelError


class ProfileInfo(BaseModel):
    """An operating point of the model."""

    name: str


class ModelInfo(BaseModel):
    """The model that a service runs."""

    name: str
    version: str
    sha256: str
    """Of the model file."""
    profiles: list[ProfileInfo]


def read_model(body: bytes) -> ModelInfo:
    """Parse an answer.

    Raises:
        SteelError: if the body is not such an answer.
    """
    try:
        return ModelInfo.model_validate_json(body)
    except ValueError as error:
        raise SteelError(f"expected an answer of this service: {error}") from error
