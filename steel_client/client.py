"""Blocking and asynchronous clients of the service."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Self, TypedDict, TypeVar, Unpack

import httpx

from steel_client.errors import SteelError, error_from_response
from steel_client.files import Outcome, predict_concurrently, read_file
from steel_client.headers import filename_header, key_header
from steel_client.model_info import ModelInfo, read_model
from steel_client.results import Image, read_image
from steel_client.retry import RetryPolicy, check_timeout
from steel_client.transport import check_url, translate_errors, translate_settings, trust

T = TypeVar("T")

Source = bytes | str | Path
URL = "http://localhost:8000"

_SPARE_SECONDS = 1.0
"""Longer than the service's deadline, so that its own 504 arrives before this side gives up."""


class Options(TypedDict, total=False):
    """Options of both clients."""

    api_key: str | None
    """The API key, if the service needs one."""
    timeout: float
    """Seconds for a call, attempts and pauses included; default 30, at most a day. Each attempt sends the
    rest as its deadline, and the service does not run a strip that would miss it."""
    retries: int | None
    """Most attempts after the first, default 5, of calls that failed for a transient reason: 408, 429, 500,
    502, 503, 504 or no server; None for as many as fit into the timeout. The pause is what Retry-After asks
    for."""
    query: Mapping[str, str]
    """Parameters of /predict for every call, such as ``{"profile": "kaggle"}``."""
    on_retry: Callable[[SteelError], None] | None
    """Called with the error of a failed attempt before the pause, if another attempt follows."""
    ca: Path | None
    """PEM file with the certificate that signed the server's, or with a self-signed one; default: those that
    the system trusts."""


class _Requests:
    """Builds the requests of both clients."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int | None = 5,
        query: Mapping[str, str] | None = None,
        on_retry: Callable[[SteelError], None] | None = None,
        ca: Path | None = None,
    ) -> None:
        self._url = check_url(url)
        self._headers = [] if api_key is None else [(b"X-API-Key", key_header(api_key))]
        self._timeout = check_timeout(timeout)
        self._retries = retries
        self._query = dict(query or {})
        self._on_retry = on_retry
        self.verify = trust(ca)

    def retry_policy(self) -> RetryPolicy:
        """Start the deadline of a call."""
        return RetryPolicy(self._timeout, self._retries, self._on_retry)

    def predict(self, data: bytes, name: str | None, left: float) -> httpx.Request:
        """Build a request of /predict that has ``left`` seconds."""
        headers = [
            *self._headers,
            (b"Content-Type", b"application/octet-stream"),
            (b"X-Deadline-Ms", str(max(1, int(left * 1000))).encode()),
        ]
        if name is not None:
            headers.append((b"X-Filename", filename_header(name)))
        return httpx.Request(
            "POST",
            f"{self._url}/predict",
            params=self._query,
            headers=headers,
            content=data,
            extensions={"timeout": httpx.Timeout(left + _SPARE_SECONDS).as_dict()},
        )

    def get(self, path: str) -> httpx.Request:
        """Build a GET request."""
        return httpx.Request("GET", f"{self._url}{path}", headers=self._headers)


class SteelClient:
    """Blocking client with one connection pool; safe to share between threads.

    Args:
        url: of the service, ``http://host:8000``.
        transport: of httpx, for tests and proxies.
        options: see ``Options``.

    Raises:
        ConfigurationError: if an argument, or a proxy or certificate in the environment, cannot be used.
    """

    def __init__(
        self, url: str = URL, *, transport: httpx.BaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self._requests = _Requests(url, **options)
        with translate_settings():
            self._http = httpx.Client(transport=transport, verify=self._requests.verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, source: Source, name: str | None = None) -> Image:
        """Send one image and wait for its answer.

        Args:
            source: content or path of a JPEG, PNG, BMP, TIFF or WebP, at least as large as the model's tile.
            name: comes back as ``filename``; default: the name of the file.

        Raises:
            SteelError: if the service refuses, or does not answer in time.
        """
        data, name = _read(source, name)
        policy = self._requests.retry_policy()
        while True:
            try:
                with translate_errors():
                    return _read_response(self._http.send(self._requests.predict(data, name, policy.left)))
            except SteelError as error:
                time.sleep(policy.pause_after(error))


class AsyncSteelClient:
    """Asynchronous client; see ``SteelClient`` for the arguments."""

    def __init__(
        self, url: str = URL, *, transport: httpx.AsyncBaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self._requests = _Requests(url, **options)
        with translate_settings():
            self._http = httpx.AsyncClient(transport=transport, verify=self._requests.verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def predict(self, source: Source, name: str | None = None) -> Image:
        """Send one image; see ``SteelClient.predict``."""
        data, name = await asyncio.to_thread(_read, source, name)
        return await self._send_with_retries(
            lambda left: self._requests.predict(data, name, left), _read_response
        )

    async def check(self) -> None:
        """Request ``GET /model``, to find out that the service answers before any strip is sent.

        Raises:
            SteelError: if there is no service, or the key is wrong.
        """
        await self._send_with_retries(lambda _left: self._requests.get("/model"), _raise_for_status)

    async def model(self) -> ModelInfo:
        """Request ``GET /model``: which model answers, its tile, classes and profiles.

        Raises:
            SteelError: as ``check``, or if something else answers.
        """
        return await self._send_with_retries(lambda _left: self._requests.get("/model"), _read_model)

    async def _send_with_retries(
        self, build: Callable[[float], httpx.Request], read: Callable[[httpx.Response], T]
    ) -> T:
        policy = self._requests.retry_policy()
        while True:
            try:
                with translate_errors():
                    return read(await self._http.send(build(policy.left)))
            except SteelError as error:
                await asyncio.sleep(policy.pause_after(error))

    def predict_many(self, files: Iterable[Path], *, concurrency: int = 8) -> AsyncIterator[Outcome]:
        """Send files, at most ``concurrency`` at a time; yield outcomes as they finish, in any order.

        An error is an outcome of its file and does not stop the others. A file is read when it is sent, so
        memory does not grow with the number of files.
        """
        return predict_concurrently(self.predict, files, concurrency)


def _read_response(response: httpx.Response) -> Image:
    _raise_for_status(response)
    return read_image(response.content)


def _read_model(response: httpx.Response) -> ModelInfo:
    _raise_for_status(response)
    return read_model(response.content)


def _raise_for_status(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        raise error_from_response(response)


def _read(source: Source, name: str | None) -> tuple[bytes, str | None]:
    if isinstance(source, bytes):
        return source, name
    path = Path(source)
    return read_file(path), name or path.name
