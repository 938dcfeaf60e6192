"""The command line, called in this process."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from model_export.__main__ import main
from model_export.training.train import train
from tests.support.quick_training import TINY


class Ended(NamedTuple):
    """The end of a command."""

    code: object
    out: str
    messages: list[str]
    """Lines of its standard error, without progress bars."""


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``python -m model_export`` with arguments, in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["model_export", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        out, messages = capsys.readouterr()
        lines = messages.replace("\r", "\n").splitlines()
        return Ended(
            code, out, [line for line in lines if line.strip() and not re.search(r"(strip|image)/s", line)]
        )

    return run


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a training of seconds."""
    return train(replace(TINY, out=tmp_path_factory.mktemp("trained"), epochs=1))
