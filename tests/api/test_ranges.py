"""Ranges of the pages' files (RFC 9110, section 14)."""

import httpx
import pytest

pytestmark = pytest.mark.anyio

FILES = ("/", "/page/app.js", "/docs-static/swagger-ui.css")


@pytest.mark.parametrize("path", FILES)
async def test_a_range_is_a_part_of_the_file(client: httpx.AsyncClient, path: str) -> None:
    whole = (await client.get(path)).content
    for given, part in (
        ("bytes=0-9", whole[:10]),
        ("bytes=-5", whole[-5:]),
        ("BYTES = 5-", whole[5:]),
        (f"bytes=0-{len(whole) + 5}", whole),
        (f"bytes=0-1, {len(whole)}-", whole[:2]),
    ):
        answer = await client.get(path, headers={"Range": given})
        assert (answer.status_code, answer.content) == (206, part), given
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize(
    "given",
    ["lines=0-9", "bytes", "", "bytes=", "bytes=9-5", "bytes=a-b", "bytes=--1", "bytes=0-9;q=1", "\xe9"],
)
async def test_what_is_not_understood_is_ignored(client: httpx.AsyncClient, path: str, given: str) -> None:
    answer = await client.get(path, headers=[(b"range", given.encode("latin-1"))])
    assert answer.status_code == 200
    assert answer.content == (await client.get(path)).content


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("given", ["bytes=9999999-", "bytes=-0", "bytes=9999999-" + ",8888888-" * 50])
async def test_a_range_beyond_the_end_is_a_problem(client: httpx.AsyncClient, path: str, given: str) -> None:
    answer = await client.get(path, headers={"Range": given})
    size = len((await client.get(path)).content)
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["title"], problem["status"]) == ("Range Not Satisfiable", 416)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert f"a file of {size} bytes" in problem["detail"]
    assert len(answer.content) < 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    metrics = (await client.get("/metrics")).text
    assert 'steel_refusals_total{reason="Range Not Satisfiable"} 1.0' in metrics


async def test_a_range_of_another_version_is_the_whole_file(client: httpx.AsyncClient) -> None:
    whole = await client.get("/page/app.js", headers={"Accept-Encoding": "identity"})
    for validator, status in ((whole.headers["etag"], 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": validator}
        assert (await client.get("/page/app.js", headers=headers)).status_code == status
    beyond = {"Range": "bytes=9999999-", "If-Range": '"other"'}
    assert (await client.get("/page/app.js", headers=beyond)).status_code == 200


async def test_only_get_has_ranges(client: httpx.AsyncClient) -> None:
    for path in FILES:
        for given in ("bytes=0-9", "bytes=9999999-"):
            headers = {"Range": given, "Accept-Encoding": "identity"}
            answer = await client.head(path, headers=headers)
            assert answer.status_code == 200
            assert answer.headers["content-length"] == str(len((await client.get(path)).content))
