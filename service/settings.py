"""Settings of the service, from environment variables that begin with STEEL_."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Exposure = Literal["open", "key", "off"]

_ORIGIN = re.compile(r"https?://[^/\s,]+|\*")


class Settings(BaseSettings):
    """Every setting with its default; ``STEEL_PORT=8080`` sets ``port``."""

    model_config = SettingsConfigDict(env_prefix="STEEL_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    model: Path = Field(
        Path("models/steel-unet-resnet18-fast"),
        description="an ONNX file, or the folder of a model, models/NAME, or of one of its versions",
    )
    device: Literal["auto", "cpu", "openvino", "cuda", "tensorrt"] = Field(
        "auto",
        description="auto tries CUDA and falls back to the CPU, saying so; the others insist",
    )
    threads: int = Field(
        1,
        ge=1,
        description="processors for one inference on the CPU; strips run side by side on all that there are",
    )
    max_batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description="strips in one inference at most; default: 1 on the CPU, 16 on a GPU",
    )
    cuda_graphs: bool = Field(
        False, description="on a GPU: replay each batch size as a CUDA graph (not verified on a GPU yet)"
    )
    engine_cache: Path | None = Field(
        None,
        description="folder of TensorRT's engines, filled by `python -m service.build_engines`; default: "
        "they are built at every start",
    )
    batch_timeout_ms: float = Field(
        2.0,
        ge=0,
        description="how long a strip may wait for others to fill a batch when the model is busy",
    )
    max_queue_size: int = Field(64, ge=1, description="strips that may wait; more are refused with 429")
    body_timeout_s: float = Field(
        10.0, gt=0, description="time in which a request's body has to arrive; slower ones get 408"
    )
    head_timeout_s: float = Field(
        10.0, gt=0, description="the same for the request line and headers, and for a connection's first byte"
    )
    keep_alive_s: int = Field(
        75, ge=1, description="how long a connection may be idle; longer than the pause between two strips"
    )
    max_connections: int = Field(512, ge=1, description="open connections; more are refused with 503")
    max_head_bytes: int = Field(
        32 * 1024, ge=1024, description="largest request line with headers; larger ones get 431"
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="longest time for a request; callers may ask for less"
    )
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1, description="largest request body")
    max_file_bytes: int = Field(
        4 * 1024 * 1024, ge=1, description="largest image file; a raw strip has 0.4 MB, in colour 1.2 MB"
    )
    max_buffered_bytes: int = Field(
        256 * 1024 * 1024, ge=1, description="bytes of all bodies held at once; more are refused with 503"
    )
    max_files: int = Field(32, ge=1, description="files in one request at most")
    max_pixels: int = Field(
        16_000_000, ge=1, description="largest image by its header; checked before decoding"
    )
    api_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="a key; if one is set, here or in a file, X-API-Key must carry a valid one on every path "
        "but the health checks and what the next settings open",
    )
    api_keys_file: Path | None = Field(
        None,
        description="file with more keys, one a line, `#` begins a comment; read again by a reload",
    )
    metrics: Exposure = Field(
        "open", description="/metrics: open to all, only with a key, or off (there is no such path)"
    )
    docs: Exposure = Field("open", description="/docs and /openapi.json: as for metrics")
    page: Literal["open", "off"] = Field(
        "open", description="the page at /; what it asks for wants a key like everybody's"
    )
    cors_origins: str | None = Field(
        None,
        description="origins whose pages may call the service from a browser, separated by commas; "
        "`*` for all; default: none",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate and its chain; with it the service speaks HTTPS only"
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key, unencrypted")
    inference_timeout_s: float = Field(
        60.0, gt=0, description="an inference that lasts longer hangs: the process ends, to be started again"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level to log")
    shutdown_timeout_s: int = Field(25, ge=1, description="time to finish accepted work after SIGTERM")

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, text: str | None) -> str | None:
        wrong = [origin for origin in _split(text) if not _ORIGIN.fullmatch(origin)]
        if wrong or (text is not None and not _split(text)):
            raise ValueError("origins such as https://mill.example, without a path, are wanted")
        return text

    @model_validator(mode="after")
    def _what_wants_a_key_has_one(self) -> Self:
        for name in ("metrics", "docs"):
            if getattr(self, name) == "key" and self.api_key is None and self.api_keys_file is None:
                raise ValueError(f"{name}=key wants STEEL_API_KEY or STEEL_API_KEYS_FILE to be set")
        return self

    @model_validator(mode="after")
    def _tls_has_both(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are wanted together")
        return self

    @model_validator(mode="after")
    def _files_fit_the_queue(self) -> Self:
        if self.max_files > self.max_queue_size:
            raise ValueError(
                f"max_files ({self.max_files}) must not exceed max_queue_size ({self.max_queue_size}): "
                "such a request could never be taken"
            )
        return self

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of ``cors_origins``, one by one."""
        return _split(self.cors_origins)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def explain(error: ValidationError) -> str:
    """Say line by line which setting is wrong, what is wanted, and what came."""
    lines = []
    for problem in error.errors():
        name = "".join(f"STEEL_{str(part).upper()}: " for part in problem["loc"])
        came = f"; got {problem['input']!r}" if problem["loc"] else ""
        lines.append(f"error: {name}{problem['msg']}{came}")
    return "\n".join(lines)
