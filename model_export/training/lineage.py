"""What a training's start and teachers have seen: nothing of what it holds out."""

from collections.abc import Sequence
from pathlib import Path

from model_export.data.classes import Classes, listed
from model_export.data.digest import digest_strips
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.soft_targets import SoftTargets
from model_export.errors import DataError
from model_export.training.checkpoint import load_checkpoint
from model_export.training.config import TrainConfig
from model_export.training.sources import select_strips
from service.model.metadata import Split


def trace_seen(
    config: TrainConfig,
    strips: Sequence[LabelledStrip],
    split: Split,
    targets: SoftTargets | None,
    classes: Classes,
) -> tuple[str, ...]:
    """Return the sorted digests of the photographed strips that shape a training's weights.

    They are its own, those of the checkpoint that it starts from and those of its teachers.

    Raises:
        DataError: if the start or a teacher saw a strip that this training holds out, a teacher knows other
            classes, or the teachers were not asked about a strip of the training.
    """
    training = digest_strips(select_strips(strips, split.train))
    held_out = digest_strips(select_strips(strips, [*split.validation, *split.test]))
    ancestors = [path for path in (config.start_from, *config.teacher) if path is not None]
    states = {path: load_checkpoint(path) for path in ancestors}
    for path in config.teacher:
        check_teacher(path, states[path].classes, classes)
    origins = [(path, frozenset(state.seen)) for path, state in states.items()]
    if targets is not None and config.soft_targets is not None:
        origins.append((config.soft_targets, targets.seen))
        missing = [name for name, digest in training.items() if digest not in targets]
        if missing:
            raise DataError(
                f"{config.soft_targets} lacks {len(missing)} strips of the training, e.g. {missing[0]}: "
                "soft-targets writes them anew"
            )
    for path, seen in origins:
        check_unseen(path, seen, held_out)
    return tuple(sorted(frozenset(training.values()).union(*(seen for _, seen in origins))))


def check_teacher(origin: Path, own: Classes, expected: Classes) -> None:
    """Check that a teacher knows the classes of the data set, by their ids.

    Raises:
        DataError: if it knows others.
    """
    if [kind.id for kind in own] != [kind.id for kind in expected]:
        raise DataError(
            f"{origin} cannot teach: expected a model of the classes {listed(expected)}, got one of "
            f"{listed(own)}"
        )


def check_unseen(origin: Path, seen: frozenset[str], held_out: dict[str, str]) -> None:
    """Check that a model saw none of the strips that are held out, told by their pixels.

    Args:
        origin: the model's file, for the message.
        seen: digests of the strips that shaped the model.
        held_out: digests by name.

    Raises:
        DataError: naming a strip that it saw.
    """
    known = [name for name, digest in held_out.items() if digest in seen]
    if known:
        raise DataError(
            f"{origin} saw {len(known)} of the {len(held_out)} strips that are held out, e.g. {known[0]}: "
            "their scores would be too good; expected a model that saw none of them"
        )
