"""Access: API keys, public paths, other origins, and the headers of every answer."""

import asyncio
import contextlib
import http.client
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Message

from service.app import create_app
from service.http.api_keys import ApiKeys, ApiKeysError
from service.inference.batcher import Batcher
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.images import png
from tests.support.serving import real_server, running_app, start_service
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c1=(0, 0, 5, 5)))
PNG = {"Content-Type": "image/png"}
KEY = {"X-API-Key": "sesame"}

ALWAYS_OPEN = {"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}
V2 = {"/v2", "/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer"}
OPEN_BY_DEFAULT = ALWAYS_OPEN | {
    *("/metrics", "/docs", "/openapi.json", "/"),
    *("/docs-static/swagger-ui.css", "/page/swagger-ui.css"),  # a name below each folder of files
}


@contextlib.asynccontextmanager
async def running(session: OrtSession, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(create_app(Settings(**settings), session=session)) as client:
        yield client


def routes_of(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers, hidden ones too."""
    for route in routes:
        if isinstance(route, Route):
            for method in route.methods or ():
                yield method, prefix + route.path
        elif isinstance(route, Mount) and route.routes:
            yield from routes_of(route.routes, prefix + route.path)
        elif isinstance(route, Mount):
            yield "GET", f"{prefix}{route.path}/swagger-ui.css"
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes, prefix)
        else:
            raise AssertionError(f"how is {route!r} called?")


async def without_a_key(app: FastAPI) -> tuple[set[str], set[str]]:
    """Call all there is without a key; return the paths that answer 401, and those that do not."""
    async with running_app(app) as client:
        described = (await client.get("/openapi.json", headers=KEY)).json()["paths"]
        calls = {(method.upper(), path) for path, methods in described.items() for method in methods}
        assert len(calls) >= 6
        calls |= set(routes_of(app.routes))
        refused: set[str] = set()
        answered: set[str] = set()
        for method, path in calls:
            for wrong in ({}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}, {"X-API-Key": "sesam"}):
                response = await client.request(method, path, headers=wrong)
                (refused if response.status_code == 401 else answered).add(path)
            assert (await client.request(method, path, headers=KEY)).status_code != 401
        return refused, answered


async def test_without_a_key_every_route_but_health_answers_401(tiny_session: OrtSession) -> None:
    settings = Settings(api_key=SecretStr("sesame"), metrics="key", docs="key", page="off")
    refused, answered = await without_a_key(create_app(settings, session=tiny_session))
    assert answered == ALWAYS_OPEN
    assert refused >= {"/predict", "/overlay", "/model", "/metrics", "/docs", "/openapi.json", *V2}
    assert not refused & answered


async def test_a_route_hidden_from_the_document_wants_a_key_too(tiny_session: OrtSession) -> None:
    app = create_app(Settings(api_key=SecretStr("sesame")), session=tiny_session)
    app.add_api_route("/hidden", lambda: "told", include_in_schema=False)
    refused, _ = await without_a_key(app)
    assert "/hidden" in refused


async def test_what_is_open_by_default_is_named(tiny_session: OrtSession) -> None:
    settings = Settings(api_key=SecretStr("sesame"))
    refused, answered = await without_a_key(create_app(settings, session=tiny_session))
    assert answered == OPEN_BY_DEFAULT
    assert refused >= {"/predict", "/overlay", "/model", *V2}


@pytest.mark.parametrize(
    "path",
    [
        *("/predict/", "/PREDICT", "//predict", "/health", "/health/live/", "/health/../model"),
        *("/v2/", "/v2/health", "/v2/health/live/", "/v2/health/../models/tiny"),
        *(
            "/docs-static",
            "/docs-static/../model",
            "/docs-static/%2e%2e/model",
            "/metrics/",
            "/no-such-thing",
        ),
    ],
)
async def test_no_spelling_of_a_path_gets_past(tiny_session: OrtSession, path: str) -> None:
    async with running(tiny_session, api_key=SecretStr("sesame")) as client:
        # As raw as uvicorn would pass it on; httpx would tidy it up.
        status = await raw_status(client._transport.app, path)  # type: ignore[attr-defined]  # httpx keeps it private
        assert status == (404 if path.startswith("/docs-static/") else 401)


async def raw_status(app: FastAPI, path: str) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path.replace("%2e", "."),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("test", 1),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


async def test_an_unknown_caller_is_refused_before_anything_is_done_for_him(
    tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte of the body is read, no parameter checked, and a full queue does not show."""
    monkeypatch.setattr(Batcher, "queue_size", property(lambda batcher: batcher.max_queue_size))
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    app = create_app(Settings(api_key=SecretStr("sesame")), session=tiny_session)
    async with running_app(app) as client:
        known = await client.post("/predict?treshold=2", content=STRIP, headers=PNG | KEY)
        assert known.status_code == 429  # the queue is full indeed
        headers = [(b"content-length", b"99999999999"), (b"content-type", b"image/png")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"treshold=2",
            "headers": headers,
        }
        await app(scope, receive, send)
    assert sent[0]["status"] == 401


@pytest.mark.slow
def test_a_caller_without_a_key_gets_its_answer_before_it_sends(tiny_model: Path) -> None:
    with real_server(tiny_model, api_key="sesame") as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", "100000")
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "ApiKey"
        connection.close()


async def test_the_document_says_where_a_key_is_wanted(tiny_session: OrtSession) -> None:
    for settings, wanted in (
        ({}, {"/predict", "/overlay", "/model", *V2}),
        ({"metrics": "key", "docs": "key"}, {"/predict", "/overlay", "/model", "/metrics"}),
    ):
        async with running(tiny_session, api_key=SecretStr("sesame"), **settings) as client:
            document = (await client.get("/openapi.json", headers=KEY)).json()
            (scheme,) = document["components"]["securitySchemes"].values()
            assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
            secured = {
                path
                for path, methods in document["paths"].items()
                if all("security" in m for m in methods.values())
            }
            assert secured >= wanted
            assert not secured & ALWAYS_OPEN
            for path in secured:
                assert all("401" in method["responses"] for method in document["paths"][path].values())


async def test_metrics_docs_and_the_page_can_be_turned_off(tiny_session: OrtSession) -> None:
    async with running(tiny_session, metrics="off", docs="off", page="off") as client:
        for path in OPEN_BY_DEFAULT - ALWAYS_OPEN:
            assert (await client.get(path)).status_code == 404
        assert (await client.post("/predict", content=STRIP, headers=PNG)).status_code == 200


@pytest.mark.parametrize("name", ["metrics", "docs"])
def test_a_door_that_wants_a_key_where_there_is_none_stops_the_start(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name}=key needs STEEL_API_KEY or STEEL_API_KEYS_FILE"):
        Settings(**{name: "key"})  # type: ignore[arg-type]  # one of two names


async def test_keys_are_rotated_while_the_service_runs(tiny_session: OrtSession, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# camera 3\nold-key\n\n  other-key  \n")
    app = create_app(Settings(api_key=SecretStr("sesame"), api_keys_file=file), session=tiny_session)

    async with running_app(app) as client:

        async def status(key: str) -> int:
            return (await client.get("/model", headers={"X-API-Key": key})).status_code

        assert [await status(key) for key in ("sesame", "old-key", "other-key")] == [200] * 3
        assert [await status(key) for key in ("# camera 3", "new-key", "old-ke", "old-key1")] == [401] * 4
        file.write_text("new-key\nother-key\n")
        assert await status("new-key") == 401
        assert app.state.api_keys.reload()
        assert [await status(key) for key in ("sesame", "new-key", "other-key")] == [200] * 3
        assert await status("old-key") == 401
        for broken in (b"", b"# nothing\n\n", b"two keys\n", b"\xff\xfe\n"):
            file.write_bytes(broken)
            assert not app.state.api_keys.reload()
            assert [await status(key) for key in ("sesame", "new-key", "old-key", "")] == [200, 200, 401, 401]
        file.unlink()
        assert not app.state.api_keys.reload()
        assert await status("new-key") == 200


async def test_keys_change_under_load_without_a_wrong_answer(
    tiny_session: OrtSession, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("stays\n")
    app = create_app(Settings(api_keys_file=file), session=tiny_session)
    async with running_app(app) as client:
        calls = [
            asyncio.create_task(client.post("/predict", content=STRIP, headers=PNG | {"X-API-Key": "stays"}))
            for _ in range(30)
        ]
        for number in range(10):
            file.write_text(f"stays\nkey-{number}\n")
            assert app.state.api_keys.reload()
            await asyncio.sleep(0)
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"", "expected one key per line, got none"),
        (b"# only a comment\n\n", "expected one key per line, got none"),
        (
            b"good\nsecret # a comment behind it\n",
            "line 2: expected a key of printable characters without blanks",
        ),
        (b"\xff\xfe", "cannot be read: it is not UTF-8 text"),
        ("good\nsec\u2028ret\n".encode(), "line 2: expected a key of printable characters without blanks"),
        ("secret\u2028\n".encode(), "line 1: expected a key of printable characters without blanks"),
        (b"secret\x0bsecond\n", "line 1: expected a key of printable characters without blanks"),
    ],
)
def test_a_file_without_usable_keys_is_never_an_open_door(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ApiKeysError, match=reason) as caught:
        ApiKeys("single", file)
    assert "secret" not in str(caught.value)


def test_lines_of_a_file_of_keys_end_as_on_windows_too(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes("\ufeffone\r\n\ttwo \r\n\r\n# three".encode())
    keys = ApiKeys(file=tmp_path / "keys")
    assert [keys.accepts(key) for key in (b"one", b"two", b"# three", b"")] == [True, True, False, False]


def test_a_fifo_as_a_file_of_keys_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(ApiKeysError, match="cannot be read: it is not a regular file"):
        ApiKeys(file=tmp_path / "keys")


@pytest.mark.parametrize("key", ["two words", "line\nbreak", " "])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ApiKeysError, match="STEEL_API_KEY: expected a key of printable"):
        ApiKeys(key)


def test_no_key_is_no_door_at_all() -> None:
    assert not ApiKeys().required
    assert not ApiKeys().accepts(b"")
    assert ApiKeys("schlüssel").accepts("schlüssel".encode())


@pytest.mark.slow
def test_an_empty_file_of_keys_ends_the_process_with_its_name(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    process = start_service(tiny_model, api_keys_file=tmp_path / "keys")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: STEEL_API_KEYS_FILE: {tmp_path}/keys: expected one key per line, got none" in output
    assert "Traceback" not in output


PREFLIGHT = {
    "Origin": "https://mill.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key,x-deadline-ms,content-type",
}


async def test_other_origins_are_told_nothing_by_default(tiny_session: OrtSession) -> None:
    async with running(tiny_session, api_key=SecretStr("sesame")) as client:
        assert (await client.options("/predict", headers=PREFLIGHT)).status_code == 401
        answer = await client.get("/model", headers=KEY | {"Origin": "https://mill.example"})
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_page_of_an_allowed_origin_may_call(tiny_session: OrtSession) -> None:
    origins = "https://mill.example, http://10.0.0.7:8080"
    async with running(tiny_session, api_key=SecretStr("sesame"), cors_origins=origins) as client:
        preflight = await client.options("/predict", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://mill.example"
        assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
        origin = {"Origin": "http://10.0.0.7:8080"}
        for headers, status in ((origin, 401), (origin | KEY | PNG, 200)):
            answer = await client.post("/predict", content=STRIP, headers=headers)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "http://10.0.0.7:8080"
            assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
        stranger = PREFLIGHT | {"Origin": "https://evil.example"}
        refused = await client.options("/predict", headers=stranger)
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


async def test_a_page_in_a_private_network_may_call_and_sees_a_failure(
    tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tiny_session, cors_origins="https://mill.example") as client:
        private = PREFLIGHT | {"Access-Control-Request-Private-Network": "true"}
        preflight = await client.options("/predict", headers=private)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-private-network"] == "true"
        monkeypatch.setattr("service.api.routes.draw_overlay", lambda *_: 1 / 0)
        origin = {"Origin": "https://mill.example"}
        answer = await client.post("/overlay", content=STRIP, headers=origin | PNG)
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == "https://mill.example"
        assert answer.headers["x-request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize("text", ["mill.example", "https://mill.example/", "null", ",", "*.example"])
def test_what_is_no_origin_stops_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="origins such as"):
        Settings(cors_origins=text)


HARDENED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def refused_before_it_is_a_request(url: str, head: bytes) -> list[str]:
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=10) as connection:
        connection.sendall(head)
        answer = b""
        while b"\r\n\r\n" not in answer and (chunk := connection.recv(65536)):
            answer += chunk
    return answer.split(b"\r\n\r\n")[0].decode().split("\r\n")


@pytest.mark.slow
def test_every_answer_has_the_headers_and_none_names_the_server(tiny_model: Path) -> None:
    with real_server(
        tiny_model, api_key="sesame", max_body_bytes=10_000, cors_origins="https://mill.example"
    ) as server:
        calls = [
            ("POST", "/predict", STRIP, PNG | KEY, 200),
            ("POST", "/overlay", STRIP, PNG | KEY, 200),
            ("GET", "/model", b"", KEY, 200),
            ("GET", "/health/ready", b"", {}, 200),
            ("GET", "/metrics", b"", {}, 200),
            ("GET", "/docs", b"", {}, 200),
            ("GET", "/openapi.json", b"", {}, 200),
            ("GET", "/docs-static/swagger-ui.css", b"", {}, 200),
            ("POST", "/predict", STRIP, PNG, 401),
            ("GET", "/nothing", b"", KEY, 404),
            ("PUT", "/predict", b"", KEY, 405),
            ("POST", "/predict", bytes(10_001), PNG | KEY, 413),
            ("POST", "/predict", b"%PDF", PNG | KEY, 415),
            ("POST", "/predict?x=1", STRIP, PNG | KEY, 422),
            ("OPTIONS", "/predict", b"", PREFLIGHT, 200),
        ]
        for method, path, body, headers, status in calls:
            answer = httpx.request(method, server.url + path, content=body, headers=headers)
            assert answer.status_code == status, path
            assert "server" not in answer.headers
            assert "x-powered-by" not in answer.headers
            assert {name: answer.headers.get(name) for name in HARDENED} == HARDENED
            assert len(answer.headers.get_list("content-security-policy")) == 1
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
            assert ("script-src" in policy) == (path == "/docs")
            assert "x-request-id" in answer.headers
        for head, status in (
            (b"NONSENSE\r\n\r\n", 400),
            (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
        ):
            lines = refused_before_it_is_a_request(server.url, head)
            assert lines[0].startswith(f"HTTP/1.1 {status} ")
            assert {f"{name}: {value}" for name, value in HARDENED.items()} <= set(lines)
            assert not [line for line in lines if line.startswith("server:")]


@pytest.mark.slow
def test_an_upgrade_to_another_protocol_is_not_taken(tiny_model: Path) -> None:
    with real_server(tiny_model, api_key="sesame") as server:
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        assert httpx.get(f"{server.url}/model", headers=headers).status_code == 401
