"""``steel COMMAND``. Exit code 0: every file was answered, 1: some were refused, 2: nothing could be done."""

import io
import sys

try:
    from service import __version__
    from service.errors import explain_os_error
    from steel_cli.arguments import check_arguments
    from steel_cli.extras import requires
    from steel_cli.interrupts import INTERRUPTED
    from steel_client.errors import SteelError
except ModuleNotFoundError as error:  # the base itself is not installed, in a checkout
    install = f"{sys.executable} -m pip install ."
    print(
        f"error: {error.name} is not installed in {sys.prefix}; in the checkout, {install}", file=sys.stderr
    )
    sys.exit(2)


def main() -> None:
    """Run the command that the command line names."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names need not fit the terminal's encoding
    try:
        sys.exit(_run())
    except SteelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {explain_os_error(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; start the command again to resume", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _run() -> int:
    if sys.argv[1:] == ["--version"]:
        print(f"steel {__version__}")
        return 0
    check_arguments(sys.argv[1:])
    with requires("client"):
        import tyro

        from steel_bulk.config import BulkConfig
        from steel_cli.predict import PredictConfig, predict
        from steel_cli.watch import WatchConfig, watch
    config = tyro.extras.subcommand_cli_from_dict(
        {"predict": PredictConfig, "watch": WatchConfig, "bulk": BulkConfig},
        prog="steel",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    if isinstance(config, PredictConfig):
        return predict(config)
    if isinstance(config, WatchConfig):
        return watch(config)
    # Imported here only: the other commands need neither Ray nor pyarrow.
    with requires("bulk,cpu"):
        from steel_bulk.command import bulk
    return bulk(config)


if __name__ == "__main__":
    main()
