"""The command line of ``python -m model_export`` to a sub-command and its configuration."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from model_export.command_line.arguments import check_arguments
from model_export.command_line.config_file import with_config_file
from model_export.errors import OptionError

PROGRAM = "python -m model_export"


def parse(arguments: Sequence[str], configs: Mapping[str, type]) -> tuple[str, Any]:
    """Return the name of the sub-command and its configuration.

    Args:
        arguments: of the program.
        configs: dataclass of the options of each sub-command.

    Raises:
        OptionError: if the arguments are none of the program's.
        SystemExit: after ``--help``.
    """
    check_arguments(arguments)
    name = arguments[0] if arguments else ""
    if name in configs:
        arguments = [name, *with_config_file(arguments[1:], configs[name])]
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            options = tyro.extras.subcommand_cli_from_dict(
                {key: _with_config_option(config) for key, config in configs.items()},
                prog=PROGRAM,
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as end:
        if not end.code:
            raise
        command = f"{PROGRAM} {name}" if name in configs else PROGRAM
        raise OptionError(f"{_first_part(messages.getvalue())} ({command} --help)") from None
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(configs[name])}
    return name, configs[name](**values)


def _with_config_option(config: type) -> Callable[..., Any]:
    """Return a configuration that also has the option ``--config``, for the parser and its help."""
    option = Annotated[
        Path | None,
        tyro.conf.arg(
            help="YAML file of options of this command, such as the run.yaml of a training; those of the "
            "command line win."
        ),
    ]
    own = dataclasses.make_dataclass(
        config.__name__, [("config", option, dataclasses.field(default=None))], bases=(config,), frozen=True
    )
    own.__doc__ = config.__doc__
    return own


def _first_part(message: str) -> str:
    """Return what a boxed message of the parser says, without title and hints, as one line."""
    is_boxed = message.startswith("╭")  # with the title in its border; for other encodings it has rules only
    parts: list[list[str]] = [[]]
    for line in message.splitlines():
        text = line.strip("│ ")
        if text and set(text) <= set("─-"):
            parts.append([])
        elif not text.startswith(("╭", "╰")):
            parts[-1].append(text)
    said = " ".join(" ".join(parts[0 if is_boxed or len(parts) == 1 else 1]).split())
    return re.sub(r"^Error parsing __\S+: ", "", said)
