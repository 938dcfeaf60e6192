"""A row is sent to a server, and its answer compared."""

import json
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from tests.hostile.rows import Row

_WAIT = 30


def sent(url: str, row: Row) -> bytes:
    """Send a row and read until the server hangs up, or has answered."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=_WAIT) as connection:
        received = b""
        try:
            connection.sendall(row.request)
            if row.half_closed:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
                if _complete(received):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up while we were sending: what it said before counts
        return received


def _complete(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths and len(body) >= int(lengths[0].split(b":")[1]))


def failure(url: str, row: Row, busy: Collection[int] = ()) -> str | None:
    """Say what is wrong with the answer to a row; a server may answer ``busy`` statuses instead."""
    received = sent(url, row)
    head, _, body = received.partition(b"\r\n\r\n")
    if row.status is None:
        return None if not received else f"an answer: {received[:200]!r}"
    status = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else None
    if status in busy:
        return None
    if status != row.status:
        return f"status {status}, wanted {row.status}: {received[:400]!r}"
    if status == 200:
        return None
    problem = json.loads(body)
    if b"application/problem+json" not in head or problem["status"] != status:
        return f"no problem: {received[:400]!r}"
    return None if row.detail in problem["detail"] else f"detail {problem['detail']!r}, wanted {row.detail!r}"
