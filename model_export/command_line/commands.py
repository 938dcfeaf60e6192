"""The sub-commands of ``python -m model_export``; importing this takes seconds (torch)."""

from collections.abc import Callable, Mapping
from typing import Any

from model_export.command_line.parse import parse
from model_export.data.draw import DrawConfig, draw
from model_export.data.fetch_weights import FetchConfig, fetch_weights
from model_export.data.neu import TileConfig, tile_neu
from model_export.evaluation.compare import CompareConfig, compare
from model_export.evaluation.evaluate import EvaluateConfig, evaluate
from model_export.evaluation.submit import SubmitConfig, submit
from model_export.evaluation.suggest import SuggestConfig, suggest
from model_export.labels.check import CheckConfig, check
from model_export.labels.import_labels import ImportConfig, import_labels
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.retune import TuneConfig, retune
from model_export.report.command import ReportConfig, report
from model_export.training.ask_teachers import SoftTargetsConfig, soft_targets
from model_export.training.config import TrainConfig
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from model_export.training.starting_point import StartingPointConfig, starting_point
from model_export.training.train import train

COMMANDS: Mapping[str, tuple[type, Callable[[Any], object]]] = {
    "check": (CheckConfig, check),
    "draw": (DrawConfig, draw),
    "fetch-weights": (FetchConfig, fetch_weights),
    "tile-neu": (TileConfig, tile_neu),
    "import-labels": (ImportConfig, import_labels),
    "train": (TrainConfig, train),
    "cross-validate": (CrossValidateConfig, cross_validate),
    "compare": (CompareConfig, compare),
    "evaluate": (EvaluateConfig, evaluate),
    "export": (ExportConfig, export),
    "tune": (TuneConfig, retune),
    "report": (ReportConfig, report),
    "soft-targets": (SoftTargetsConfig, soft_targets),
    "starting-point": (StartingPointConfig, starting_point),
    "submit": (SubmitConfig, submit),
    "suggest": (SuggestConfig, suggest),
}
"""Configuration and function of each."""


def run(arguments: list[str]) -> None:
    """Run the sub-command that the arguments name.

    Raises:
        OptionError: if there is none, or an option cannot be.
        Exception: of the sub-command.
    """
    name, config = parse(arguments, {name: config for name, (config, _) in COMMANDS.items()})
    COMMANDS[name][1](config)
