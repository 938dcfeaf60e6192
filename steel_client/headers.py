"""Values of headers, as bytes: httpx encodes text as ASCII, the service decodes UTF-8."""

import re

from steel_client.errors import ConfigurationError

_NOT_IN_A_HEADER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^ | $")
"""Control characters, bytes that are not UTF-8 (as Python holds them), and blanks at the ends."""


def key_header(key: str) -> bytes:
    """Encode an API key.

    Raises:
        ConfigurationError: if no service accepts such a key.
    """
    if not key.isprintable() or " " in key or not key:
        raise ConfigurationError("expected an API key of printable characters without blanks")
    return key.encode()


def filename_header(name: str) -> bytes:
    """Encode a file's name; U+FFFD replaces each character that no header holds."""
    return _NOT_IN_A_HEADER.sub("\ufffd", name).encode()
