"""Arguments that the parser of the command line takes without a word: empty ones, and options given twice."""

from collections.abc import Sequence

from model_export.errors import OptionError

_MAY_BE_EMPTY = ("--label-studio-images", "--notice")


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments of a command.

    Raises:
        OptionError: if one is empty, as of a shell variable that is not set, or an option comes twice.
    """
    given: set[str] = set()
    option: str | None = None
    for argument in arguments:
        if argument == "--":
            return
        if argument.startswith("--"):
            option, _, value = argument.partition("=")
            option = canonical(option)
            if option in given:
                raise OptionError(
                    f"{option}: expected once, got it again; several values go behind one option"
                )
            given.add(option)
            is_empty = "=" in argument and not value
        else:
            is_empty = not argument
        if is_empty and option not in _MAY_BE_EMPTY:
            raise OptionError(f"{option or 'the command'}: expected a value, got an empty one")


def canonical(option: str) -> str:
    """Return the name of an option for all its spellings: ``--no-skip-bad`` sets ``--skip-bad``."""
    name = option.replace("_", "-")
    return "--" + name.removeprefix("--no-") if name.startswith("--no-") else name
