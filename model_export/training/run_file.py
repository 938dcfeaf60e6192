"""``run.yaml``: every option of a training, for ``--config``."""

from collections.abc import Mapping

import yaml

from model_export.training.checkpoint import config_to_json
from model_export.training.config import TrainConfig
from service.files import whole_file

RUN_FILE = "run.yaml"

_NOT_SHARED = ("resume", "only")
"""Options of one start of a training, not of the training."""


def flat_options(config: TrainConfig) -> dict[str, object]:
    """Return the options of a training as JSON values, by their names on the command line without dashes."""
    plain = config_to_json(config)
    flat: dict[str, object] = {}
    for name, value in plain.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return {name.replace("_", "-"): value for name, value in flat.items() if name not in _NOT_SHARED}


def write_run_file(config: TrainConfig, command: str) -> None:
    """Write the options of a training beside it.

    Args:
        config: of the training; ``config.out`` is created if it is missing.
        command: sub-command that takes them.
    """
    options = flat_options(config)
    if command == "cross-validate":
        options.pop("fold")
    config.out.mkdir(parents=True, exist_ok=True)
    head = (
        f"# python -m model_export {command} --config {RUN_FILE} --out ANOTHER_FOLDER\n"
        "# Options on the command line win; null is the default.\n"
    )
    text = yaml.safe_dump(options, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    with whole_file(config.out / RUN_FILE) as unfinished:
        unfinished.write_text(head + text, encoding="utf-8")
