"""The sockets on which the service listens, opened before anything else starts."""

import errno
import os
import socket

_BACKLOG = 2048
"""As uvicorn has it."""
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (the user's choice is compared, not made)
"""Hosts that stand for all addresses of the machine."""


class ListenError(Exception):
    """Nothing can listen at the address and port of the settings; the message names the setting."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on each address of a host.

    Args:
        host: a name or an address.
        port: 0 takes a free one.

    Raises:
        ListenError: if that is not possible.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(_no_address(host)) from error
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(_listen(family, kind, protocol, address))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error  # as ::1 of localhost where there is no IPv6
        if not sockets and absent is not None:
            raise absent
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ListenError(_reason(error, host, port)) from error
    return sockets


def url_of(host: str, port: int, *, tls: bool) -> str:
    """Return the URL of a server."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _listen(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would allow several servers on one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"STEEL_PORT: port {port} of {host} is in use by another program"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"STEEL_PORT: this user may not listen on port {port}"
    if error.errno in _ABSENT:
        return _no_address(host)
    return f"STEEL_HOST, STEEL_PORT: cannot listen on port {port} of {host}: {error.strerror}"


def _no_address(host: str) -> str:
    return f"STEEL_HOST: expected an address of this machine, or a name of one, got {host!r}"
