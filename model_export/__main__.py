"""``python -m model_export train|evaluate|export|submit``."""

import sys

import tyro

from model_export.data import DataError
from model_export.train import train


def main() -> None:
    """Run the command that the command line names; expected problems end with their message."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"train": train}, prog="python -m model_export", config=(tyro.conf.OmitArgPrefixes,)
        )
    except (DataError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
