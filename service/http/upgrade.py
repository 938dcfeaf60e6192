"""Requests that offer another protocol: a server may ignore ``Upgrade`` (RFC 9110, section 7.8)."""

import sys
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class IgnoringUpgrade(HttpToolsProtocol):
    """One connection, on which every request is read as if it had no ``Upgrade``.

    uvicorn's parser ends at the head of such a request: its body, and all that follows, would be lost.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url = b""
        self._data = b""
        self._replay = b""

    def data_received(self, data: bytes) -> None:
        """Parse data."""
        self._data = data
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Pass a complete head on, unless it is parsed again without its upgrade."""
        if not self._parse_again():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Record that a request has arrived completely."""
        if not self._replay:
            super().on_message_complete()

    def _parse_again(self) -> bool:
        """Return whether a complete head will be parsed again; keep it if so."""
        if not self.parser.should_upgrade() or self.parser.get_method() == b"CONNECT":
            return False
        self._replay = self._head_without_upgrade()
        return True

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        head, self._replay = self._replay, b""
        upgrade = sys.exception()
        if head and isinstance(upgrade, httptools.HttpParserUpgrade):
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(head + self._data[upgrade.args[0] :])

    def _head_without_upgrade(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                value = b",".join(one for one in value.split(b",") if one.strip().lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"
