"""Names of local files that are not UTF-8, as text that Parquet can hold."""

import re

_ESCAPE = re.compile(r"\\udc([89a-f][0-9a-f])")


def escape(name: str) -> str:
    """Write bytes that are not UTF-8, surrogates in Python, as escapes of JSON: ``\\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode()


def unescape(name: str) -> str:
    """Return the name that ``escape`` was given."""
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), name)
