"""``python -m model_export COMMAND``."""

import sys
from collections.abc import Callable, Mapping

import tyro

from model_export.data.draw import draw
from model_export.data.fetch_weights import fetch_weights
from model_export.data.import_labels import import_labels
from model_export.data.neu import tile_neu
from model_export.errors import DataError, ParityError, TrainingError
from model_export.evaluation.compare import compare
from model_export.evaluation.evaluate import evaluate
from model_export.evaluation.submit import submit
from model_export.evaluation.suggest import suggest
from model_export.onnx_export.export import export
from model_export.onnx_export.retune import retune
from model_export.report.command import report
from model_export.training.ask_teachers import soft_targets
from model_export.training.cross_validate import cross_validate
from model_export.training.starting_point import starting_point
from model_export.training.train import train
from service import __version__
from service.errors import ModelFileError, explain_os_error

COMMANDS: Mapping[str, Callable[..., object]] = {
    "draw": draw,
    "fetch-weights": fetch_weights,
    "tile-neu": tile_neu,
    "import-labels": import_labels,
    "train": train,
    "cross-validate": cross_validate,
    "compare": compare,
    "evaluate": evaluate,
    "export": export,
    "tune": retune,
    "report": report,
    "soft-targets": soft_targets,
    "starting-point": starting_point,
    "submit": submit,
    "suggest": suggest,
}
"""Each takes its configuration."""


def main() -> None:
    """Run the command of the command line; an expected error ends the program with its message."""
    if sys.argv[1:] == ["--version"]:
        print(__version__)
        return
    try:
        tyro.extras.subcommand_cli_from_dict(
            dict(COMMANDS), prog="python -m model_export", config=(tyro.conf.OmitArgPrefixes,)
        )
    except (DataError, ModelFileError, ParityError, TrainingError, ValueError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # a full disk, a folder that may not be written
        sys.exit(f"error: {explain_os_error(error)}")


if __name__ == "__main__":
    main()
