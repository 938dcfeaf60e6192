"""Settings of the service, from environment variables that begin with STEEL_."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.geometry import BitDepth

Exposure = Literal["open", "key", "off"]

MIB = 1024 * 1024
_OF_A_CLUSTER = re.compile(r"STEEL_([A-Z0-9]+_)*(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+|NAME|ENV_\w+)")
_ORIGIN = re.compile(r"https?://[^/\s,]+|\*")


class Settings(BaseSettings):
    """Every setting with its default; ``STEEL_PORT=8080`` sets ``port``."""

    model_config = SettingsConfigDict(env_prefix="STEEL_", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    model: Path = Field(
        Path("models/steel-unet-resnet18-fast"),
        description="an ONNX file, or the folder of a model, models/NAME, or of one of its versions",
    )
    profile: str = Field(
        "inspection",
        min_length=1,
        description="operating point of requests that name none; one of the model's, or a file "
        "NAME.profile.json that the page saved",
    )
    device: Literal["auto", "cpu", "openvino", "cuda", "tensorrt"] = Field(
        "auto",
        description="auto tries CUDA and falls back to the CPU, with a warning; any other must work",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="processors per inference on the CPU; strips run in parallel on all processors",
    )
    max_batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description="most strips in one inference; default: 1 on the CPU, 16 on a GPU",
    )
    cuda_graphs: bool = Field(
        False, description="on a GPU: replay each batch size as a CUDA graph (not verified on a GPU yet)"
    )
    engine_cache: Path | None = Field(
        None,
        description="folder of TensorRT's engines, filled by `python -m service.build_engines`; default: "
        "none, engines are built at every start",
    )
    batch_timeout_ms: float = Field(
        2.0,
        ge=0,
        le=1000,
        description="milliseconds that a strip waits for others to fill a batch while the model is busy",
    )
    max_queue_size: int = Field(
        64,
        ge=1,
        le=10_000,
        description="most tiles in the queue, of which a strip is one; more are refused with 429, and an "
        "image of more with 413",
    )
    body_timeout_s: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="time within which a request's body has to arrive; a slower one gets 408",
    )
    head_timeout_s: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="the same for request line and headers, and for a connection's first byte",
    )
    write_timeout_s: float = Field(
        10.0, gt=0, le=3600, description="time within which a client has to read what was sent to it"
    )
    keep_alive_s: int = Field(
        75,
        ge=1,
        le=86_400,
        description="how long a connection may be idle; above the pause between two strips",
    )
    max_connections: int = Field(
        512, ge=1, le=100_000, description="most open connections; more are refused with 503"
    )
    max_head_bytes: int = Field(
        32 * 1024, ge=1024, le=MIB, description="largest request line with headers; a larger one gets 431"
    )
    request_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="longest time for a request; callers may set a shorter one"
    )
    max_body_bytes: int = Field(32 * MIB, ge=1, le=1024 * MIB, description="largest request body")
    max_file_bytes: int = Field(
        20 * MIB,
        ge=1,
        le=1024 * MIB,
        description="largest image file; 8192 x 1024 pixels have 8.4 MB uncompressed, of 16 bits 16.8 MB",
    )
    max_buffered_bytes: int = Field(
        256 * MIB,
        ge=1,
        le=65_536 * MIB,
        description="most bytes of all bodies in memory; more are refused with 503",
    )
    max_files: int = Field(32, ge=1, le=1000, description="most files in one request")
    bits: BitDepth | None = Field(
        None,
        description="bits that the cameras use of each pixel of a 16-bit file, if the request does not say; "
        "default: all 16, and images that do not use them are refused",
    )
    health: Literal["on", "off"] = Field(
        "on",
        description="whether strips, and tiles of larger images, that do not look like steel, by the limits "
        "in the model file, are left uninspected; off sends every one to the model",
    )
    max_pixels: int = Field(
        16_000_000,
        ge=1,
        le=1_000_000_000,
        description="largest image in pixels, by its header; checked before decoding",
    )
    api_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="an API key; with one, here or in a file, every request needs a valid X-API-Key, except "
        "health checks and the paths that the next settings leave open",
    )
    api_keys_file: Path | None = Field(
        None,
        description="file with more keys, one per line, `#` begins a comment; a reload reads it again",
    )
    metrics: Exposure = Field(
        "open", description="/metrics: open to all, only with a key, or off (the path does not exist)"
    )
    docs: Exposure = Field("open", description="/docs and /openapi.json: as for metrics")
    page: Literal["open", "off"] = Field(
        "open", description="the page at /; the requests that it sends need a key like all others"
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
        60.0,
        gt=0,
        le=3600,
        description="longest inference; one that lasts longer hangs, and the process ends",
    )
    reload_timeout_s: float = Field(
        300.0,
        gt=0,
        le=3600,
        description="longest time for a reload to load, verify and warm up a model; then the old one stays",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level to log")
    shutdown_timeout_s: int = Field(
        25, ge=1, le=3600, description="time to finish accepted work after SIGTERM"
    )

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str | None) -> str | None:
        wrong = [origin for origin in _split(text) if not _ORIGIN.fullmatch(origin)]
        if wrong or (text is not None and not _split(text)):
            raise ValueError("expected origins such as https://mill.example, without a path")
        return text

    @model_validator(mode="after")
    def _check_key_exists(self) -> Self:
        for name in ("metrics", "docs"):
            if getattr(self, name) == "key" and self.api_key is None and self.api_keys_file is None:
                raise ValueError(f"{name}=key needs STEEL_API_KEY or STEEL_API_KEYS_FILE")
        return self

    @model_validator(mode="after")
    def _check_tls_is_complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("expected both tls_certificate and tls_key, got one of them")
        return self

    @model_validator(mode="after")
    def _check_files_fit_the_queue(self) -> Self:
        if self.max_files > self.max_queue_size:
            raise ValueError(
                f"expected max_files <= max_queue_size ({self.max_queue_size}), got {self.max_files}: "
                "the queue could never hold such a request"
            )
        return self

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Return the origins in ``cors_origins``."""
        return _split(self.cors_origins)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


class SettingsError(Exception):
    """Settings are wrong; the message has one line for each."""


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: if a value is not allowed, or a variable looks like a setting and is none.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(explain(error)) from error
    unknown = explain_unknown(os.environ)
    if unknown:
        raise SettingsError(unknown)
    return settings


def explain(error: ValidationError) -> str:
    """Return one line for each wrong setting: its name, the expected value and the given one."""
    lines = []
    for problem in error.errors():
        name = "".join(f"STEEL_{str(part).upper()}: " for part in problem["loc"])
        given = f"; got {problem['input']!r}" if problem["loc"] else ""
        lines.append(f"error: {name}{problem['msg']}{given}")
    return "\n".join(lines)


def explain_unknown(names: Iterable[str]) -> str:
    """Return one line for each name of an environment variable that looks like a setting and is none.

    The variables that Kubernetes and Docker set for a service called ``steel`` are ignored.
    """
    known = [f"STEEL_{name.upper()}" for name in Settings.model_fields]
    lines = []
    for name in sorted(names):
        if name.startswith("STEEL_") and name not in known and not _OF_A_CLUSTER.fullmatch(name):
            close = difflib.get_close_matches(name, known, 1, cutoff=0.75)
            hint = f"; did you mean {close[0]}?" if close else ""
            lines.append(f"error: {name}: there is no such setting{hint}")
    return "\n".join(lines)
