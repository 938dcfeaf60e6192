"""Provenance of a model: data, configuration, code and versions."""

import datetime
import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path

from model_export.data.kaggle import KaggleStrip
from model_export.data.labelled_strip import LabelledStrip
from model_export.training.checkpoint import Checkpoint, config_to_json
from model_export.training.config import TrainConfig
from service.model.metadata import Provenance


def provenance(state: Checkpoint, train: Sequence[LabelledStrip], notice: str) -> Provenance:
    """Describe the training of a checkpoint; ``train`` are the strips that it was trained on."""
    drawn = f"{state.config.drawn} drawn strips"
    if state.config.data is None:
        training_data = drawn
    else:
        training_data = f"{len(train)} strips of {state.config.data.name}"
        if state.config.drawn and state.config.drawn_share:
            training_data += f", and {drawn} in {state.config.drawn_share:.0%} of the samples"
        if state.config.pasted_share:
            training_data += f", and clean strips with pasted defects in {state.config.pasted_share:.0%}"
    return Provenance(
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        training_data=training_data,
        notice=notice,
        training_data_sha256=_hash_labels(train),
        code_sha256=_hash_code(),
        config=_describe(state.config) | {"epochs_trained": state.epoch},
        versions={
            "python": platform.python_version(),
            **{name: installed_version(name) for name in ("torch", "onnx", "onnxruntime")},
        },
    )


_OF_THE_RUN = ("out", "resume", "mlflow", "pictures")
"""Options that change nothing in the model."""


def _describe(config: TrainConfig) -> dict[str, object]:
    """Return a configuration for a model file, without paths of this machine."""
    plain = config_to_json(config)
    plain["data"] = config.data.name if config.data else None
    if config.encoder_weights not in ("none", "imagenet"):
        plain["encoder_weights"] = Path(config.encoder_weights).name
    for name in ("start_from", "soft_targets", "fold_file", "groups", "split"):
        path = getattr(config, name)
        plain[name] = path.name if path else None
    for name in ("teacher", "unlabelled"):
        plain[name] = [path.name for path in getattr(config, name)]
    return {name: value for name, value in plain.items() if name not in _OF_THE_RUN}


def _hash_labels(strips: Sequence[LabelledStrip]) -> str:
    digest = hashlib.sha256()
    for strip in sorted(strips, key=lambda strip: strip.name):
        codes = strip.rles if isinstance(strip, KaggleStrip) else ()
        digest.update("\t".join([strip.name, *codes]).encode() + b"\n")
    return digest.hexdigest()


def _hash_code() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
