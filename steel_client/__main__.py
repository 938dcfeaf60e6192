"""``steel COMMAND``; exit code 0: all answered, 1: some files were refused, 2: nothing could be done."""

import sys

import tyro

from steel_client.commands import PredictConfig, WatchConfig, predict, watch
from steel_client.errors import SteelError


def main() -> None:
    """Run the command that the command line names."""
    config = tyro.extras.subcommand_cli_from_dict(
        {"predict": PredictConfig, "watch": WatchConfig}, prog="steel", config=(tyro.conf.OmitArgPrefixes,)
    )
    try:
        sys.exit(predict(config) if isinstance(config, PredictConfig) else watch(config))
    except SteelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
