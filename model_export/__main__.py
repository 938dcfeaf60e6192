"""``python -m model_export COMMAND``. Exit code 0: done, 1: failed, 2: wrong arguments, 130: Ctrl+C."""

import sys

from model_export.command_line.arguments import check_arguments
from model_export.command_line.failures import explain
from service import __version__


def main() -> None:
    """Run the command of the command line; an expected error ends the program with its message."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(__version__)
        return
    try:
        check_arguments(arguments)
        # Here, so that wrong arguments and Ctrl+C need not wait for torch.
        from model_export.command_line.commands import run

        run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        failure = explain(error)
        if failure is None:
            raise
        print(failure.message, file=sys.stderr)
        sys.exit(failure.code)


if __name__ == "__main__":
    main()
