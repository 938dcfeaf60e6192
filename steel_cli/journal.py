"""Journal of a run: one JSON object per line and version of a file, from which an interrupted run resumes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from service.files import about
from steel_cli.answer import Answer
from steel_cli.lock import lock
from steel_cli.run_file import RUN, RunSpec, start_or_resume

JOURNAL = "predictions.jsonl"
_LINE_ENDS = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}
"""Characters at which some readers end a line, as JSON escapes them; json does so for ASCII alone."""


class _Line(NamedTuple):
    sha256: str | None
    offset: int
    """Of its first byte."""


class Journal:
    """JSON Lines file of answers that knows of each file which content was answered last.

    An answer is saved once its whole line is flushed. A line that was cut off by a kill or a full disk is
    dropped when the journal is opened again. A lock keeps other commands out.

    Args:
        folder: of the run; created if it does not exist.
        spec: of the run.
        restart: whether to remove the lines of an earlier run.

    Raises:
        ConfigurationError: if another command writes to the journal, or it was started with another
            specification.
    """

    def __init__(self, folder: Path, spec: RunSpec, *, restart: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / JOURNAL
        self._file = path.open("ab")
        try:
            lock(self._file)
            if restart:
                self._file.truncate(0)
                (folder / RUN).unlink(missing_ok=True)
            start_or_resume(
                folder,
                spec,
                started=path.stat().st_size > 0,
                classes_of_lines=lambda: _read_classes(path),
            )
            self._path = path
            self._last = _repair(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with about(self._path):  # what could not be written is tried once more
            self._file.close()

    def holds(self, name: str, sha256: str | None) -> bool:
        """Return whether the last line of a file answers this content."""
        return name in self._last and self._last[name].sha256 == sha256

    def read(self, name: str) -> dict[str, Any]:
        """Return the last line of a file that has one."""
        with self._path.open("rb") as file:
            file.seek(self._last[name].offset)
            line: dict[str, Any] = json.loads(file.readline())
            return line

    def add(self, answer: Answer) -> None:
        """Append a line."""
        text = json.dumps(answer.line(), ensure_ascii=False).translate(_LINE_ENDS) + "\n"
        # The escapes of bytes in names that are not UTF-8 are those of JSON: a reader gets the same name.
        offset = self._file.tell()
        with about(self._path):
            self._file.write(text.encode("utf-8", "backslashreplace"))
            self._file.flush()
        self._last[answer.strip.name] = _Line(answer.strip.sha256, offset)


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the last line of each file, of a journal that is not being written."""
    last = {line["file"]: number for number, line in enumerate(_read_lines(path))}
    for number, line in enumerate(_read_lines(path)):
        if last[line["file"]] == number:
            yield line


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _read_classes(path: Path) -> list[dict[str, Any]] | None:
    """Return the classes of the first whole line that has any."""
    with path.open("rb") as file:
        for text in file:
            try:
                classes = json.loads(text).get("classes")
            except ValueError:
                return None
            if classes:
                return [{"id": one["class_id"], "name": one["name"]} for one in classes]
    return None


def _repair(path: Path) -> dict[str, _Line]:
    """Find the last line of each file; truncate at the first line without a newline or that is not JSON."""
    last: dict[str, _Line] = {}
    good = 0
    with path.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n"):
                break
            try:
                line = json.loads(text)
            except ValueError:
                break
            last[str(line["file"])] = _Line(line.get("sha256"), good)
            good += len(text)
    if good < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(good)
    return last
