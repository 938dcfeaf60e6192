"""A row of the table: bytes on a connection, and the answer to expect."""

from dataclasses import dataclass

RAW = "application/octet-stream"


@dataclass(frozen=True)
class Row:
    """One hostile input."""

    name: str
    request: bytes
    """The bytes that are sent on a connection of their own."""
    status: int | None
    """Of the answer; None if the connection is to be closed without one."""
    detail: str
    """A part of the problem's detail."""
    half_closed: bool = False
    """The sender closes its side of the connection; otherwise it waits."""
    answered_late: bool = False
    """The answer comes after a time limit, as every 408 does."""


def request(
    method: str = "POST",
    target: str = "/predict",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> bytes:
    """Write a request with Content-Length."""
    fields = {"Host": "x", "Content-Length": str(len(body)), "Connection": "close"} | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def posted(name: str, body: bytes, status: int, detail: str, kind: str = RAW) -> Row:
    """An image as the body of a request."""
    return Row(name, request(body=body, headers={"Content-Type": kind}), status, detail)
