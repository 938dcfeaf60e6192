"""A row of the table: bytes on a connection, and what has to come back."""

from dataclasses import dataclass

RAW = "application/octet-stream"


@dataclass(frozen=True)
class Row:
    """One hostile input."""

    name: str
    request: bytes
    """Everything that is sent on a connection of its own."""
    status: int | None
    """Of the answer; None if the connection is to be closed without one."""
    detail: str
    """What the problem has to say, among other things."""
    half_closed: bool = False
    """Whether the sender then says that nothing more comes; otherwise it waits."""
    answered_late: bool = False
    """Whether the answer comes when a time limit has passed; each 408 does."""


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
