"""The JSON of the Open Inference Protocol, version 2, as far as the service supports it.

Source: https://github.com/kserve/open-inference-protocol, ``specification/protocol/inference_rest.md``.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Parameters = Annotated[
    dict[str, Any],
    BeforeValidator(lambda value: {} if value is None else value),  # some clients send null
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ),
]


class _RequestModel(BaseModel):
    """Strict types; members of unknown extensions are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class RequestInput(_RequestModel):
    """An input tensor."""

    name: str = Field(examples=["image"], json_schema_extra={"enum": ["image"]})
    datatype: str = Field(examples=["BYTES"], json_schema_extra={"enum": ["BYTES"]})
    shape: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(
        min_length=1,
        max_length=2,
        description="`[n]` or `[n, 1]`, n being the number of images",
        examples=[[1]],
    )
    parameters: Parameters = Field({}, description="`binary_data_size`: its bytes after the JSON")
    data: (
        Annotated[
            list[Any],
            WithJsonSchema({"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}),
        ]
        | None
    ) = Field(None, description="the image files in base64, unless they follow the JSON")


class RequestOutput(_RequestModel):
    """A requested tensor."""

    name: str = Field(examples=["mask"])
    parameters: Parameters = Field({}, description="`binary_data`: whether it shall follow the JSON")


class InferRequest(_RequestModel):
    """The body of an infer request, or the JSON before its binary data."""

    id: str | None = Field(None, max_length=256, description="returned in the answer")
    parameters: Parameters = Field(
        {},
        description="`profile`, `class_threshold`, `threshold`, `min_area`, `bits` and `pad` as the query "
        "parameters of `/predict`; `timeout` in microseconds; `binary_data_output`: whether outputs shall "
        "follow the JSON",
        examples=[{"profile": "inspection"}],
    )
    inputs: list[RequestInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestOutput] | None = Field(None, description="default: all")


class TensorMetadata(BaseModel):
    """One input or output."""

    name: str = Field(description="of the tensor")
    datatype: str = Field(description="as the protocol names it; BYTES are files or text")
    shape: tuple[int, ...] = Field(
        description="-1 stands for the number of images, and in a mask for their height and width"
    )


class ModelTensors(BaseModel):
    """Metadata of the model: its inputs and outputs."""

    name: str = Field(description="of the model")
    versions: tuple[str, ...] = Field(description="that serve; always one")
    platform: str = Field(description="runtime, as Triton names it")
    inputs: tuple[TensorMetadata, ...] = Field(description="inputs")
    outputs: tuple[TensorMetadata, ...] = Field(description="outputs")


class ServerMetadata(BaseModel):
    """Metadata of the server."""

    name: str = Field(description="of this software")
    version: str = Field(description="of this software")
    extensions: tuple[str, ...] = Field(description="supported extensions of the protocol")


class ServerLive(BaseModel):
    """The answer to a probe of liveness."""

    live: bool = Field(description="always true: otherwise the answer is a problem")


class ServerReady(BaseModel):
    """The answer to a probe of readiness."""

    ready: bool = Field(description="always true: otherwise the answer is a problem")


class ModelReady(BaseModel):
    """The answer to a probe of one model's readiness."""

    name: str = Field(description="of the model")
    ready: bool = Field(description="always true: otherwise the answer is a problem")


class ResponseOutput(TensorMetadata):
    """An output tensor."""

    parameters: dict[str, int] | None = Field(
        None, description="`binary_data_size`: its bytes after the JSON"
    )
    data: list[Any] | None = Field(None, description="row by row, unless it follows the JSON")


class InferResponse(BaseModel):
    """The answer to an infer request, or the JSON before its binary data."""

    model_name: str = Field(description="the model that answered")
    model_version: str = Field(description="its version")
    id: str = Field(description="the request's, or else as in the X-Request-Id header")
    outputs: tuple[ResponseOutput, ...] = Field(
        description="the requested tensors, in the order of the request"
    )


class ConfigTensor(BaseModel):
    """One input or output in Triton's words."""

    name: str = Field(description="of the tensor")
    data_type: str = Field(description="as Triton names it; TYPE_STRING are files or text")
    dims: tuple[int, ...] = Field(
        description="-1 stands for the number of images, and in a mask for their height and width"
    )


class ModelConfig(BaseModel):
    """The part of Triton's model configuration that its clients read."""

    name: str = Field(description="of the model")
    platform: str = Field(description="runtime, as Triton names it")
    max_batch_size: int = Field(description="0: the shapes contain the number of images")
    input: tuple[ConfigTensor, ...] = Field(description="inputs")
    output: tuple[ConfigTensor, ...] = Field(description="outputs")


class IndexEntry(BaseModel):
    """One model of the repository."""

    name: str = Field(description="of the model")
    version: str = Field(description="that serves")
    state: str = Field(description="always READY: otherwise the answer is a problem")
    reason: str = Field(description="empty: it is ready")
