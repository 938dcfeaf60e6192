"""Texts with names of files, for any terminal."""

import sys


def printable(text: str) -> str:
    """Return a text that standard output takes; names of files may be any bytes."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
