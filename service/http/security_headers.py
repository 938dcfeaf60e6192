"""Headers that tell browsers to do nothing with an answer but show it."""

from collections.abc import Iterable

RawHeader = tuple[bytes, bytes]

CONTENT_SECURITY_POLICY = b"content-security-policy"

_ALWAYS: tuple[RawHeader, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_NOTHING_LOADED: RawHeader = (CONTENT_SECURITY_POLICY, b"default-src 'none'; frame-ancestors 'none'")


def add_security_headers(headers: Iterable[RawHeader]) -> list[RawHeader]:
    """Return the headers of an answer with those for browsers; a page may bring its own policy."""
    secured = [*headers, *_ALWAYS]
    if all(name != CONTENT_SECURITY_POLICY for name, _ in secured):
        secured.append(_NOTHING_LOADED)
    return secured
