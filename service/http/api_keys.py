"""The API keys that are valid: from the environment and from a file that can be reloaded."""

import hashlib
import hmac
from pathlib import Path

import structlog

_log = structlog.get_logger()
_BLANKS = " \t\r"
"""Blanks at the ends of a line; ``\\r`` in files from Windows."""


class ApiKeysError(Exception):
    """The configured keys cannot be used; the message names the setting, never the key."""


class ApiKeys:
    """The keys that are valid now. Only their hashes are kept.

    Args:
        single: one key, or None.
        file: keys, one per line; blank lines and lines that begin with ``#`` are ignored. None for no file.

    Raises:
        ApiKeysError: if the file cannot be read or holds no key, or no header could carry a key.
    """

    def __init__(self, single: str | None = None, file: Path | None = None) -> None:
        self._single = single
        self._file = file
        self._digests = self._read()

    @property
    def required(self) -> bool:
        """Whether any key is configured."""
        return bool(self._digests)

    def accepts(self, given: bytes) -> bool:
        """Return whether a key is valid, in a time that does not depend on the key."""
        digest = hashlib.sha256(given).digest()
        valid = False
        for known in self._digests:
            valid |= hmac.compare_digest(digest, known)
        return valid

    def reload(self) -> bool:
        """Read the file again and drop the keys that it no longer holds.

        Returns:
            False if it cannot be used: the log has the reason, and the previous keys stay valid.
        """
        try:
            self._digests = self._read()
        except ApiKeysError as error:
            _log.error("API keys were not reloaded, the old ones stay valid", error=str(error))
            return False
        _log.info("API keys reloaded", keys=len(self._digests))
        return True

    def _read(self) -> tuple[bytes, ...]:
        keys = [] if self._single is None else [_checked(self._single, "STEEL_API_KEY")]
        if self._file is not None:
            keys += _read_file(self._file)
        return tuple(hashlib.sha256(key).digest() for key in keys)


def _read_file(path: Path) -> list[bytes]:
    setting = f"STEEL_API_KEYS_FILE: {path}"
    try:
        # Opening a FIFO would wait for its writer.
        if path.exists() and not path.is_file():
            raise ApiKeysError(f"{setting} cannot be read: it is not a regular file")
        # Not splitlines(): a line ends at a newline alone, and _checked refuses other separators in a key.
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ApiKeysError(f"{setting} cannot be read: {reason}") from error
    keys = [
        _checked(line.strip(_BLANKS), f"{setting}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip(_BLANKS) and not line.lstrip(_BLANKS).startswith("#")
    ]
    if not keys:
        raise ApiKeysError(f"{setting}: expected one key per line, got none")
    return keys


def _checked(key: str, where: str) -> bytes:
    # If blanks were allowed, a comment after a key, or two keys on a line, would pass as one key.
    if not key.isprintable() or " " in key or not key:
        raise ApiKeysError(f"{where}: expected a key of printable characters without blanks")
    return key.encode()
