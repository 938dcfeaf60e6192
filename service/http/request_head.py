"""Checks of a request's head that the parser does not make: its target and host, and whether it is HTTP."""

import ipaddress
import re

from service.errors import BadRequestError

OPENING_BYTES = 256
"""How much of a connection's beginning is kept, to name the protocol of what is no HTTP."""

_NAME = rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
_HOST = re.compile(rb"(?:" + _NAME + rb"|\[([0-9A-Fa-f:.]+)(?:%[\w.~%-]+)?\])(?::0*(\d{0,5}))?", re.ASCII)
_LAST_PORT = 65_535
_WHOLE_URL = re.compile(rb"(?i:https?)://([^/?#]*)/[^#]*")
_OF_A_PROXY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_REQUEST_LINE = re.compile(rb"[A-Za-z_-]+ [^ \r\n]+ ([A-Za-z]+/[0-9.]{1,8})\r?\n")
_GREETINGS = (
    (b"\x16\x03", "a TLS greeting; this port speaks plain HTTP, so use http:// instead of https://"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "the PROXY protocol, which this service does not speak"),
    (b"PROXY ", "the PROXY protocol, which this service does not speak"),
    (b"SSH-", "a greeting of SSH"),
    (b"EHLO ", "a greeting of SMTP"),
    (b"HELO ", "a greeting of SMTP"),
)


def check_host(host: bytes) -> None:
    """Check the value of a Host header: a name or address, and a port (RFC 9110, section 7.2).

    Raises:
        BadRequestError: if it is anything else.
    """
    match = _HOST.fullmatch(host)
    if match is None or int(match[2] or 0) > _LAST_PORT or not _is_ipv6(match[1]):
        raise BadRequestError(
            f"expected a Host header with a name or an address, and a port up to {_LAST_PORT} if any, got "
            f"{_shown(host)}"
        )


def _is_ipv6(address: bytes | None) -> bool:
    """Return whether an address in brackets is one; None if there are no brackets."""
    try:
        return address is None or bool(ipaddress.IPv6Address(address.decode("ascii")))
    except ValueError:
        return False


def check_target(method: bytes, target: bytes) -> None:
    """Check that a target is a path, with a query if any, or a whole URL of HTTP (RFC 9112, 3.2).

    Every server has to take a whole URL, although only a proxy is sent one; other forms are a proxy's own.

    Raises:
        BadRequestError: if it is anything else.
    """
    if (target.startswith(b"/") and b"#" not in target) or (method, target) == (b"OPTIONS", b"*"):
        return
    if url := _WHOLE_URL.fullmatch(target):
        check_host(url[1])
        return
    if method == b"CONNECT" or _OF_A_PROXY.match(target):
        raise BadRequestError(f"expected a path such as /predict, got {_shown(target)}: this is no proxy")
    raise BadRequestError(f"expected a path such as /predict, without '#', got {_shown(target)}")


def foreign_protocol(opening: bytes) -> str | None:
    """Return the name of the protocol that a connection speaks; None if it may be HTTP/1.

    Args:
        opening: the first bytes of the connection.
    """
    for greeting, name in _GREETINGS:
        if opening.startswith(greeting):
            return name
    line = _REQUEST_LINE.match(opening.lstrip(b"\r\n"))
    return line[1].decode() if line is not None and line[1] not in (b"HTTP/1.0", b"HTTP/1.1") else None


def _shown(value: bytes) -> str:
    text = ascii(value[:80].decode("latin-1"))
    return text if len(value) <= 80 else f"{text} and {len(value) - 80} bytes more"
