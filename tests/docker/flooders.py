"""``python -m tests.docker.flooders URL SECONDS``: prints what each kind of sender was told.

Large bodies, slow senders, clients that read nothing, and the rows of the table of hostile inputs.

A process of its own: good requests are timed in another, which the flood must not slow down.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from urllib.parse import urlsplit

from tests.hostile.bad_images import image_rows
from tests.hostile.bad_requests import request_rows
from tests.hostile.exchange import failure
from tests.hostile.rows import Row

LARGE, SLOW, SILENT, HOSTILE = 64, 200, 100, 4
BUSY = {429, 503}
"""What any request may be told in a flood."""
PIPELINED = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 16
MODEL = b"/v2/models/steel-unet-resnet18-fast"


def _to_this_model(row: Row) -> Row:
    """Return a row as the released model is to answer it: a drawn strip does not look like steel to it."""
    request = row.request.replace(b"/v2/models/tiny", MODEL)
    return replace(row, request=request, status=422 if MODEL in request and row.status == 200 else row.status)


ROWS = [
    _to_this_model(row)
    for row in [*image_rows(), *request_rows()]
    if row.status != 408 and not row.answered_late
]
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FORM = (PART + bytes(3_300_000) + b"\r\n") * 3 + b"--b--\r\n"
"""Ten megabytes in three files, none of which is too large by itself."""


class Flood:
    """Senders of one kind and another, until a point in time."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._until = time.monotonic() + seconds
        self.large = Counter[str]()
        self.slow = Counter[str]()
        self.silent = Counter[str]()
        self.rows = Counter[str]()
        self.wrong: dict[str, str] = {}

    async def run(self) -> None:
        """Begin all at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(LARGE):
                group.create_task(self._send_large())
            for _ in range(SLOW):
                group.create_task(self._send_slowly())
            for _ in range(SILENT):
                group.create_task(self._read_nothing())
            for number in range(HOSTILE):
                group.create_task(self._send_rows(ROWS[number::HOSTILE]))

    async def _send_large(self) -> None:
        """Send ten megabytes; come back a second after each answer."""
        head = (
            "POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(FORM)}\r\n\r\n"
        ).encode()
        while time.monotonic() < self._until:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                answer = asyncio.ensure_future(reader.readline())
                writer.write(head + FORM)
                with contextlib.suppress(OSError):
                    await writer.drain()
                self.large[_status(await answer)] += 1
                writer.close()
            await asyncio.sleep(1)

    async def _send_slowly(self) -> None:
        """Send a byte a second; come again when thrown out."""
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        while time.monotonic() < self._until:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                writer.write(head)
                answer = asyncio.ensure_future(reader.readline())
                while not answer.done() and time.monotonic() < self._until:
                    writer.write(b"x")
                    await asyncio.wait([answer], timeout=1)
                if answer.done():
                    self.slow[_status(answer.result())] += 1
                answer.cancel()
                writer.close()

    async def _read_nothing(self) -> None:
        """Ask for much, read nothing; come again when thrown out."""
        while time.monotonic() < self._until:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self._host, self._port, limit=1)
                writer.write(PIPELINED)
                while not writer.is_closing() and time.monotonic() < self._until:
                    writer.write(PIPELINED)
                    await asyncio.sleep(1)
                self.silent["thrown out" if writer.is_closing() else "still there"] += 1
                writer.close()
            await asyncio.sleep(1)

    async def _send_rows(self, rows: list[Row]) -> None:
        """Send a row after the other, again and again, each on a connection of its own."""
        for row in itertools.cycle(rows):
            if time.monotonic() >= self._until:
                return
            wrong = await asyncio.to_thread(failure, self._url, row, BUSY)
            if wrong is None:
                self.rows[row.name] += 1
            else:
                self.wrong[row.name] = wrong


def _status(line: bytes) -> str:
    return line.split()[1].decode() if line.startswith(b"HTTP/") else "hung up"


if __name__ == "__main__":
    flood = Flood(sys.argv[1], float(sys.argv[2]))
    asyncio.run(flood.run())
    told = {
        "large": flood.large,
        "slow": flood.slow,
        "silent": flood.silent,
        "rows": flood.rows,
        "wrong": flood.wrong,
    }
    print(json.dumps(told))
