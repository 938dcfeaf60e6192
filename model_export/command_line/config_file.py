"""``--config FILE``: options of a sub-command in a YAML file; the command line wins."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from model_export.command_line.arguments import canonical, check_arguments
from model_export.command_line.options import Option, list_options
from model_export.errors import OptionError
from service.errors import explain_os_error

OPTION = "--config"

_NULL, _BOOL = "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"

_LIKE_AN_OPTION = re.compile(r"-(?![\d.]|inf\b)")
"""No number; a path of this kind needs ./ in front, as on the command line."""


def with_config_file(arguments: Sequence[str], config: type) -> list[str]:
    """Add the options of the file that ``--config`` names, but for those that are given already.

    Values are read as the command line reads them: paths belong to the working directory. A value of null
    leaves an option at its default.

    Args:
        arguments: of a sub-command, without its name.
        config: configuration of the sub-command.

    Raises:
        OptionError: naming file and line, if the file cannot be read or has another option than the
            sub-command.
    """
    path = _find(arguments)
    if path is None:
        return list(arguments)
    given = {canonical(argument.partition("=")[0]) for argument in arguments if argument.startswith("--")}
    added: list[str] = []
    for option, own in _read(path, list_options(config)).items():
        if "--" + option not in given:
            added += own
    # In front, so that they end no list of values on the command line; `--config` ends those in the file.
    position = next(index for index, argument in enumerate(arguments) if argument.startswith(OPTION))
    return [*arguments[:position], *added, *arguments[position:]]


def _find(arguments: Sequence[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument.startswith(OPTION + "="):
            return Path(argument.partition("=")[2])
        if argument == OPTION and index + 1 < len(arguments):
            return Path(arguments[index + 1])
    return None


def _read(path: Path, options: Mapping[str, Option]) -> dict[str, list[str]]:
    """Return the arguments of each option in a file."""
    try:
        document = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise OptionError(f"{OPTION}: {explain_os_error(error)}") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{path}: expected a text in UTF-8, got other bytes") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise OptionError(f"{path}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise OptionError(f"{path}: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, yaml.MappingNode):
        raise OptionError(f"{path}, line {_line(document)}: expected lines of the form OPTION: VALUE")
    found: dict[str, list[str]] = {}
    for key, value in document.value:
        at = f"{path}, line {_line(key)}"
        name = str(key.value).replace("_", "-") if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        if name not in options:
            raise OptionError(f"{at}: expected an option of the command, got {name!r}")
        if name in found:
            raise OptionError(f"{at}: {name}: expected once, got it again")
        found[name] = _arguments(options[name], value, at)
        try:
            check_arguments(found[name])
        except OptionError as error:
            raise OptionError(f"{at}: {error}") from None
    return found


def _arguments(option: Option, value: yaml.Node, at: str) -> list[str]:
    """Return what the command line would say."""
    if value.tag == _NULL:
        return []
    if option.is_flag:
        if value.tag != _BOOL:
            raise OptionError(f"{at}: {option.name}: expected true or false, got {value.value!r}")
        is_set = yaml.SafeLoader.bool_values[value.value.lower()]
        return ["--" + ("" if is_set else "no-") + option.name]
    values = value.value if isinstance(value, yaml.SequenceNode) else [value]
    if not all(isinstance(one, yaml.ScalarNode) for one in values):
        raise OptionError(f"{at}: {option.name}: expected a value or a list of values")
    texts = [str(one.value) for one in values]
    for text in texts:
        if _LIKE_AN_OPTION.match(text):
            raise OptionError(
                f"{at}: {option.name}: expected a value, got {text!r}, which looks like an option"
            )
    return ["--" + option.name, *texts]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
