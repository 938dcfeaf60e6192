"""The options of every command in the pages exist."""

import re
import runpy
import sys
import warnings

import pytest

from tests.docs.test_links import NAMES, PAGES
from tests.support.serving import ROOT

pytestmark = pytest.mark.slow  # imports torch and Ray

MAKEFILE = (ROOT / "Makefile").read_text()
SUBCOMMANDS = ("model_export", "steel_cli")

_SHELL = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:python|torchrun(?: --\S+ \S+)*) -m ([\w.]+)(.*)|^(steel)( .*)")
_MAKE = re.compile(r'make ([a-z-]+)\b.*ARGS="([^"]*)"')


def commands() -> dict[tuple[str, ...], dict[str, str]]:
    """Return, for each module and subcommand, the options that pages name and one page of each."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name, page in zip(NAMES, PAGES, strict=True):
        text = page.read_text()
        lines = [line for block in _SHELL.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        for line in [*lines, *_SPAN.findall(text)]:
            command, rest = _parse(line.partition("#")[0].strip())
            if command:
                options = found.setdefault(command, {})
                options |= dict.fromkeys(re.findall(r"(?<!\S)(--[a-z][\w-]*)", rest), name)
    return found


def _parse(line: str) -> tuple[tuple[str, ...], str]:
    """Return the module and subcommand of a line, none if it is another command, and its arguments."""
    make = _MAKE.search(line)
    if make is not None:
        module = re.search(rf"^{make[1]}:.*\n(?:\t.*\n)*?\t.*-m ([\w.]+) \$\(ARGS\)", MAKEFILE, re.MULTILINE)
        # pytest's own options are those of `make test` and `make quick`.
        return ((module[1],), make[2]) if module and module[1] != "pytest" else ((), "")
    match = _COMMAND.search(line)
    if match is None:
        return (), ""
    module_name = "steel_cli" if match[3] else match[1]
    rest = match[2] or match[4] or ""
    if not (ROOT / module_name.split(".")[0]).is_dir():
        return (), ""
    if module_name in SUBCOMMANDS:
        words = re.match(r"\s+([a-z-]+)\b(?!\|)", rest)
        return ((module_name, words[1]), rest) if words else ((), "")
    return (module_name,), rest


COMMANDS = {command: options for command, options in commands().items() if options}


def test_there_are_commands() -> None:
    assert {("model_export", "train"), ("steel_cli", "predict"), ("bench",)} <= COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_options_exist(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, *subcommand = command
    monkeypatch.setattr(sys, "argv", [module, *subcommand, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # runpy's, of a module that another test has imported
        with pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__")
    assert end.value.code in (0, None)
    described = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out))
    for option, page in COMMANDS[command].items():
        assert option in described, f"{page}: {' '.join(command)} {option}"
