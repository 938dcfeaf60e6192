"""``python -m tests.docker.flooders URL SECONDS``: large bodies and slow senders; prints what they were told.

A process of its own: good requests are timed in another, which the flood must not slow down.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

LARGE, SLOW = 64, 200
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FORM = (PART + bytes(3_300_000) + b"\r\n") * 3 + b"--b--\r\n"
"""Ten megabytes in three files, none of which is too large by itself."""


class Flood:
    """Senders of one kind and another, until a point in time."""

    def __init__(self, url: str, seconds: float) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._until = time.monotonic() + seconds
        self.large = Counter[str]()
        self.slow = Counter[str]()

    async def run(self) -> None:
        """Begin all at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(LARGE):
                group.create_task(self._send_large())
            for _ in range(SLOW):
                group.create_task(self._send_slowly())

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


def _status(line: bytes) -> str:
    return line.split()[1].decode() if line.startswith(b"HTTP/") else "hung up"


if __name__ == "__main__":
    flood = Flood(sys.argv[1], float(sys.argv[2]))
    asyncio.run(flood.run())
    print(json.dumps({"large": flood.large, "slow": flood.slow}))
