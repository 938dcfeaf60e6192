"""A service that is stopped and started again behind a proxy, under traffic: no answer is cut or mixed up."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.images import png
from tests.support.proxies import PROXIES
from tests.support.serving import free_port, real_server
from tests.support.tiny_model import block_rle, block_strip

pytestmark = pytest.mark.slow

CALLERS = 6


class Callers:
    """Six callers, each with strips of its own, one after the other."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.statuses = Counter[int]()
        self.stopped = False

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            await asyncio.gather(*(self._call(client, number) for number in range(CALLERS)))

    async def _call(self, client: httpx.AsyncClient, number: int) -> None:
        strip = png(block_strip(c1=(10 + 20 * number, 5, 3, 4)))
        while not self.stopped:
            try:
                answer = await client.post(f"{self._url}/predict", content=strip)
            except httpx.RemoteProtocolError:  # the proxy closed an idle connection at the same moment
                continue
            self.statuses[answer.status_code] += 1
            if answer.status_code == 200:
                code = answer.json()["images"][0]["classes"][0]["rle"]
                assert code == block_rle(10 + 20 * number, 5, 3, 4)
            else:  # draining, or the proxy's own for a service that is not there
                assert answer.status_code in (502, 503, 504)
                await asyncio.sleep(0.05)

    async def until_answered(self, more: int) -> None:
        wanted = self.statuses[200] + more
        deadline = time.monotonic() + 60
        while self.statuses[200] < wanted:
            assert time.monotonic() < deadline, self.statuses
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "name", ["nginx, keep-alive", "nginx, unbuffered", "haproxy, plain", "haproxy, shared"]
)
def test_a_redeploy_behind_a_proxy(tiny_model: Path, tmp_path: Path, name: str) -> None:
    port = free_port()

    async def redeploy(url: str) -> Counter[int]:
        callers = Callers(url)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(callers.run())
            await callers.until_answered(20)
            assert set(callers.statuses) == {200}
            first.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.process.wait, 60) == 0
            second = await asyncio.to_thread(again.__enter__)
            try:
                await callers.until_answered(20)
            finally:
                callers.stopped = True
            assert second.process.poll() is None
        return callers.statuses

    again = real_server(tiny_model, port=port, log_level="error")
    with (
        real_server(tiny_model, port=port, log_level="error") as first,
        PROXIES[name].running(first.url, tmp_path) as url,
    ):
        try:
            statuses = asyncio.run(redeploy(url))
        finally:
            again.__exit__(None, None, None)
    print(dict(statuses))
    assert statuses[200] >= 40
