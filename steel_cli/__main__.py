"""``steel COMMAND``; exit code 0: all answered, 1: some files were refused, 2: nothing could be done."""

import sys

import tyro

from steel_bulk.config import BulkConfig
from steel_cli.commands import PredictConfig, WatchConfig, predict, watch
from steel_client.errors import SteelError


def main() -> None:
    """Run the command that the command line names."""
    config = tyro.extras.subcommand_cli_from_dict(
        {"predict": PredictConfig, "watch": WatchConfig, "bulk": BulkConfig},
        prog="steel",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    try:
        sys.exit(_run(config))
    except SteelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(config: PredictConfig | WatchConfig | BulkConfig) -> int:
    if isinstance(config, PredictConfig):
        return predict(config)
    if isinstance(config, WatchConfig):
        return watch(config)
    try:
        # Only here: the other commands need neither Ray nor pyarrow.
        from steel_bulk.command import bulk
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "pyarrow", "pandas", "onnxruntime"):
            raise
        raise SteelError(
            f"there is no {error.name} here; install '.[bulk]' and one of cpu, openvino, gpu"
        ) from error
    return bulk(config)


if __name__ == "__main__":
    main()
