"""The answer to one version of a file, as a line of the journal and as a line on the screen."""

from dataclasses import dataclass
from typing import Any

from steel_client.errors import SteelError
from steel_client.results import Image

OF_ONE_STRIP = (408, 500, 504)
"""Transient errors that one strip may have while the service answers others."""


@dataclass(frozen=True)
class Strip:
    """One version of a file."""

    name: str
    """Relative to the folder, with slashes. Bytes that are not UTF-8 are surrogates, as Python holds them."""
    data: bytes
    sha256: str | None
    """Of ``data``; None if the file cannot be read."""


@dataclass(frozen=True)
class Answer:
    """An image or an error for a strip."""

    strip: Strip
    image: Image | None
    error: SteelError | None

    def line(self) -> dict[str, Any]:
        """Return the line of the journal."""
        line: dict[str, Any] = {"file": self.strip.name}
        if self.image is None:
            reason = str(self.error)
            line |= {"status": self.error.status if self.error else None, "error": reason}
            line |= {"verdict": "not_inspected", "reason": reason}
        else:
            response = self.image.response
            line |= self.image.result.model_dump(mode="json", exclude_none=True, exclude={"filename"})
            if not self.image.inspected:
                line["defect"] = None
            line["model"] = response.model.model_dump(include={"name", "version", "sha256"})
            line["profile"] = response.profile.name
        if self.strip.sha256 is not None:
            line["sha256"] = self.strip.sha256
        return line

    def summary(self) -> str:
        """Return one line of printable text."""
        name = printable(self.strip.name)
        if self.image is None:
            return f"{name}: refused: {self.error}"
        return f"{name}: {self.image.verdict.replace('_', ' ')}: {self.image.reason}"


def printable(name: str) -> str:
    """Return a file's name with escapes for what would break a line, or no terminal shows."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
