"""Specification of a run, ``run.json``: a journal is continued only with the one that it was started with."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from service.files import whole_file
from steel_client.errors import ConfigurationError

RUN = "run.json"
_FORMAT = 2
"""Lines of format 1 have no verdict."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that the lines of a journal depend on, besides the files."""

    command: Literal["predict", "watch"]
    folder: str
    """Absolute, symbolic links resolved."""
    profile: str
    bits: str | None
    pad: str | None
    classes: list[dict[str, Any]]
    """Id and name of each class of the model, in order."""
    model: dict[str, str] | None
    """Name, version and sha256; None for a watched folder, which outlives changes of the model."""


def start_or_resume(
    folder: Path, spec: RunSpec, *, started: bool, classes_of_lines: Callable[[], list[dict[str, Any]] | None]
) -> None:
    """Write the specification of a new run, or check that of a run that resumes.

    Args:
        folder: of the run.
        spec: from the command line and the service.
        started: whether the journal has lines.
        classes_of_lines: reads the classes from the journal, for a run of an earlier version, whose
            specification has none.

    Raises:
        ConfigurationError: if the run was started with another specification, or without one.
    """
    path = folder / RUN
    advice = "use another --out, or --restart, which removes its answers"
    before = _read(path)
    if before is None:
        if started:
            raise ConfigurationError(f"{folder} holds the answers of a run without {RUN}; {advice}")
        _write(path, {"format": _FORMAT, **asdict(spec)})
        return
    complete = "classes" in before
    if not complete:
        before = before | {"classes": classes_of_lines() or spec.classes}
    for name, now in {"format": _FORMAT, **asdict(spec)}.items():
        if before.get(name) != now:
            raise ConfigurationError(
                f"{folder} was started with {name} = {_show(before.get(name))}, got {_show(now)}; {advice}"
            )
    if not complete:
        _write(path, {"format": _FORMAT, **asdict(spec)})


def _read(path: Path) -> dict[str, object] | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigurationError(
            f"{path} cannot be parsed; use another --out or --restart: {error}"
        ) from error
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: dict[str, object]) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _show(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
