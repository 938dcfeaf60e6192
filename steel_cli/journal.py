"""Journal of a run: one JSON object per line and file, from which an interrupted run resumes."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from steel_client.files import Outcome


class Journal:
    """JSON Lines file of outcomes that knows which files it holds.

    A file is done once its whole line is flushed. A line that was cut off by a kill or a full disk is dropped
    when the journal is opened again.

    Args:
        path: of the journal; created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._done = {str(line["file"]) for line in _repair(path)}
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def holds(self, name: str) -> bool:
        """Return whether a file has a line."""
        return name in self._done

    def add(self, name: str, outcome: Outcome) -> None:
        """Append the line of a file."""
        self._file.write(json.dumps(_line(name, outcome), ensure_ascii=False) + "\n")
        self._file.flush()
        self._done.add(name)


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal that is not being written."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _line(name: str, outcome: Outcome) -> dict[str, Any]:
    if outcome.image is None:
        error = outcome.error
        return {"file": name, "status": error.status if error else None, "error": str(error)}
    response = outcome.image.response
    answer = outcome.image.result.model_dump(mode="json", exclude_none=True, exclude={"filename"})
    model = response.model.model_dump(include={"name", "version", "sha256"})
    return {"file": name, **answer, "model": model, "profile": response.profile.name}


def _repair(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a journal; truncate it at the first line without a newline or that is not JSON."""
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    good = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
            good += len(line)
    if good < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(good)
    return lines
