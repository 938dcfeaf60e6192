"""Many files at a time."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from steel_client import AsyncSteelClient
from tests.support.images import png
from tests.support.serving import running_app
from tests.support.tiny_model import block_strip

pytestmark = pytest.mark.anyio

STRIP = png(block_strip(c3=(100, 20, 5, 30)))


async def test_a_refused_file_does_not_stop_the_others(app: FastAPI, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(20)]
    for number, path in enumerate(files):
        path.write_bytes(STRIP if number % 5 else b"no image")
    files.append(tmp_path / "gone.png")
    async with running_app(app), AsyncSteelClient("http://x", transport=httpx.ASGITransport(app)) as client:
        outcomes = [outcome async for outcome in client.predict_many(files, concurrency=3)]
    assert {outcome.path for outcome in outcomes} == set(files)
    refused = {outcome.path.name: outcome.error for outcome in outcomes if outcome.error is not None}
    assert refused.keys() == {"0.png", "5.png", "10.png", "15.png", "gone.png"}
    assert "expected an image" in str(refused["0.png"])
    assert "cannot be read" in str(refused["gone.png"])


async def test_a_fifo_is_an_error_of_its_file(app: FastAPI, tmp_path: Path) -> None:
    fifo, strip = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(fifo)
    strip.write_bytes(STRIP)
    async with running_app(app), AsyncSteelClient("http://x", transport=httpx.ASGITransport(app)) as client:
        async with asyncio.timeout(20):
            outcomes = {outcome.path.name: outcome async for outcome in client.predict_many([fifo, strip])}
    assert "not a regular file" in str(outcomes["a.png"].error)
    assert outcomes["b.png"].image is not None


async def test_concurrency_is_bounded() -> None:
    running = most = 0

    async def slow(_request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return httpx.Response(422, json={"title": "t", "detail": "d"})

    async with AsyncSteelClient("http://x", transport=httpx.MockTransport(slow)) as client:
        files = [Path(__file__)] * 12
        outcomes = [outcome async for outcome in client.predict_many(files, concurrency=4)]
    assert len(outcomes) == 12
    assert most == 4
