"""Arguments that the parser of the command line takes without a word: empty ones, and options given twice."""

from collections.abc import Sequence

from steel_client.errors import ConfigurationError

_ALIASES = {"--at-once": "--concurrency"}
_MAY_BE_EMPTY = ("--label-studio-images",)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments of a command.

    Raises:
        ConfigurationError: if one is empty, as of a shell variable that is not set, or an option comes twice.
    """
    given: set[str] = set()
    option: str | None = None
    for argument in arguments:
        if argument == "--":
            return
        if argument.startswith("--"):
            option, _, value = argument.partition("=")
            option = _canonical(option)
            if option in given:
                raise ConfigurationError(
                    f"{_shown(option)}: expected once, got it again; several values go behind one option"
                )
            given.add(option)
            is_empty = "=" in argument and not value
        else:
            is_empty = not argument
        if is_empty and option not in _MAY_BE_EMPTY:
            raise ConfigurationError(f"{_shown(option)}: expected a value, got an empty one")


def _canonical(option: str) -> str:
    """Return the name of an option for all its spellings."""
    name = option.replace("_", "-")
    name = "--" + name.removeprefix("--no-") if name.startswith("--no-") else name
    return _ALIASES.get(name, name)


def _shown(option: str | None) -> str:
    alias = next((other for other, name in _ALIASES.items() if name == option), None)
    return (option or "folder") + ("" if alias is None else f" ({alias})")
