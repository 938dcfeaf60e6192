"""Calls to the service, blocking or not."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack

import httpx

from steel_client.errors import SteelError, UnreadableFileError, error_of
from steel_client.files import Outcome, in_pool
from steel_client.results import Image, read_image
from steel_client.retry import Patience

T = TypeVar("T")

Source = bytes | Path
URL = "http://localhost:8000"

_SPARE_SECONDS = 1.0
"""What the answer may take longer than the deadline that the service was told."""


class Options(TypedDict, total=False):
    """What both clients may be told besides the address."""

    api_key: str | None
    """Where the service wants one."""
    timeout: float
    """Seconds for a call, tries and pauses included, 30 if not given; the service is told what is left of it
    and does not run what cannot make it."""
    retries: int
    """Tries after the first at most, 5 if not given, of calls that were refused for the moment (429, 503) or
    found no server; pauses are what Retry-After asks for."""
    query: Mapping[str, str]
    """Parameters of /predict for every call, e.g. ``{"profile": "kaggle"}``."""


class _Calls:
    """What both clients know: how a request is written and an answer read."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        query: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if api_key is None else {"X-API-Key": api_key}
        self._timeout = timeout
        self._retries = retries
        self._query = dict(query or {})

    def patience(self) -> Patience:
        return Patience(self._timeout, self._retries)

    def request(self, data: bytes, name: str | None, left: float) -> httpx.Request:
        headers = {
            **self._headers,
            "Content-Type": "application/octet-stream",
            "X-Deadline-Ms": str(max(1, int(left * 1000))),
        }
        if name is not None:
            # Bytes, as httpx would write only ASCII; the service reads UTF-8.
            headers["X-Filename"] = name.encode("utf-8", "replace").decode("latin-1")
        return httpx.Request(
            "POST",
            f"{self._url}/predict",
            params=self._query,
            headers=[(key.encode("ascii"), value.encode("latin-1")) for key, value in headers.items()],
            content=data,
            extensions={"timeout": httpx.Timeout(left + _SPARE_SECONDS).as_dict()},
        )

    def question(self, path: str) -> httpx.Request:
        return httpx.Request("GET", f"{self._url}{path}", headers=self._headers)


class SteelClient:
    """Blocking calls; one connection pool, safe to share between threads.

    Args:
        url: of the service, ``http://host:8000``.
        transport: of httpx, for tests and proxies.
        options: see ``Options``.
    """

    def __init__(
        self, url: str = URL, *, transport: httpx.BaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self._calls = _Calls(url, **options)
        self._http = httpx.Client(transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, source: Source, name: str | None = None) -> Image:
        """Send one image, as bytes or as a file, and wait for its answer.

        Args:
            source: JPEG, PNG, BMP, TIFF or WebP of 1600 x 256.
            name: comes back as ``filename``; of a file, its own.

        Raises:
            SteelError: if the service refuses, or does not answer in time.
        """
        data, name = _read(source, name)
        patience = self._calls.patience()
        while True:
            try:
                with _named_errors():
                    return _image(self._http.send(self._calls.request(data, name, patience.left)))
            except SteelError as error:
                time.sleep(patience.pause_after(error))


class AsyncSteelClient:
    """The same without blocking; see ``SteelClient`` for the arguments."""

    def __init__(
        self, url: str = URL, *, transport: httpx.AsyncBaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self._calls = _Calls(url, **options)
        self._http = httpx.AsyncClient(transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def predict(self, source: Source, name: str | None = None) -> Image:
        """Send one image; see ``SteelClient.predict``."""
        data, name = await asyncio.to_thread(_read, source, name)
        return await self._patiently(lambda left: self._calls.request(data, name, left), _image)

    async def check(self) -> None:
        """Ask for the model once, with no strip.

        Raises:
            SteelError: if there is no service, or the key is wrong.
        """
        await self._patiently(lambda _left: self._calls.question("/model"), _raise_for_status)

    async def _patiently(
        self, write: Callable[[float], httpx.Request], read: Callable[[httpx.Response], T]
    ) -> T:
        patience = self._calls.patience()
        while True:
            try:
                with _named_errors():
                    return read(await self._http.send(write(patience.left)))
            except SteelError as error:
                await asyncio.sleep(patience.pause_after(error))

    def predict_many(self, files: Iterable[Path], *, at_once: int = 8) -> AsyncIterator[Outcome]:
        """Send files, at most so many at a time; yield what became of each as it comes.

        One that fails is an outcome like any other. Files are read when their turn comes, so memory does not
        grow with their number.
        """
        return in_pool(self.predict, files, at_once)


def _image(response: httpx.Response) -> Image:
    _raise_for_status(response)
    return read_image(response.content)


def _raise_for_status(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        raise error_of(response)


def _read(source: Source, name: str | None) -> tuple[bytes, str | None]:
    if isinstance(source, bytes):
        return source, name
    try:
        return source.read_bytes(), name or source.name
    except OSError as error:
        raise UnreadableFileError(f"{source} cannot be read: {error}") from error


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Turn httpx's errors of the network into ours."""
    try:
        yield
    except httpx.TransportError as error:
        what = str(error) or type(error).__name__
        late = isinstance(error, httpx.ReadTimeout)
        raise SteelError(f"no answer: {what}", status=504 if late else None) from error
