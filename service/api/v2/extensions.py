"""Triton's extensions of the Open Inference Protocol: what can be answered, and a clear no to the others."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request

from service.api.dataplane import engine_of
from service.api.openapi.problems import error_answers
from service.api.v2.routes import MODEL_PATH, NO_SUCH_MODEL, PLATFORM, VERSION_PATH, served
from service.api.v2.schemas import ConfigTensor, IndexEntry, ModelConfig, TensorMetadata
from service.api.v2.tensors import INPUT, outputs_of
from service.errors import NotSupportedError
from service.model.metadata import ModelMetadata

_TYPES = {"BYTES": "TYPE_STRING"}
_REGIONS = tuple(
    f"/v2/{kind}sharedmemory/{path}"
    for kind in ("system", "cuda")
    for path in ("status", "unregister", "region/{name}/{action}")
)
_ABSENT = {
    "statistics are at /metrics, in Prometheus' format": (
        "/v2/models/stats",
        f"{MODEL_PATH}/stats",
        f"{VERSION_PATH}/stats",
    ),
    "models are not loaded or unloaded by callers; POST /model/reload opens STEEL_MODEL again": (
        "/v2/repository/models/{name}/load",
        "/v2/repository/models/{name}/unload",
    ),
    "there are no traces; every answer has its times in the header Server-Timing": (
        "/v2/trace/setting",
        f"{MODEL_PATH}/trace/setting",
    ),
    "the log is set by STEEL_LOG_LEVEL when the service starts": ("/v2/logging",),
    "there is no shared memory; send image files as binary data": _REGIONS,
}
"""Paths of Triton that the service does not have, by what to tell their callers."""

v2_extensions = APIRouter(tags=["Open Inference Protocol"])


@v2_extensions.get(f"{MODEL_PATH}/config", summary="Configure a client", responses=NO_SUCH_MODEL)
async def v2_config(request: Request, name: str) -> ModelConfig:
    """Answer inputs and outputs of the model that serves, as Triton writes them in a configuration."""
    return _config(served(request, name))


@v2_extensions.get(
    f"{VERSION_PATH}/config", summary="Configure a client, by a version", responses=NO_SUCH_MODEL
)
async def v2_config_version(request: Request, name: str, version: str) -> ModelConfig:
    """Answer as the path without a version does, if this version serves."""
    return _config(served(request, name, version))


@v2_extensions.post("/v2/repository/index", summary="List the models", responses=error_answers(503, v2=True))
async def v2_index(request: Request) -> list[IndexEntry]:
    """Answer the one model that serves; what the request's body asks for makes no difference."""
    metadata = engine_of(request).session.metadata
    return [IndexEntry(name=metadata.name, version=metadata.version, state="READY", reason="")]


def _config(metadata: ModelMetadata) -> ModelConfig:
    return ModelConfig(
        name=metadata.name,
        platform=PLATFORM,
        max_batch_size=0,
        input=(_config_tensor(INPUT),),
        output=tuple(_config_tensor(tensor) for tensor in outputs_of(len(metadata.classes))),
    )


def _config_tensor(tensor: TensorMetadata) -> ConfigTensor:
    data_type = _TYPES.get(tensor.datatype, f"TYPE_{tensor.datatype}")
    return ConfigTensor(name=tensor.name, data_type=data_type, dims=tensor.shape)


def _refusal(reason: str) -> Callable[[], Awaitable[None]]:
    async def refuse() -> None:
        raise NotSupportedError(reason)

    return refuse


for _reason, _paths in _ABSENT.items():
    for _path in _paths:
        v2_extensions.add_api_route(
            _path, _refusal(_reason), methods=["GET", "POST"], include_in_schema=False
        )
