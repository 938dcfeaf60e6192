"""Which strips a training configuration means."""

from collections.abc import Sequence

from model_export.config import TrainConfig
from model_export.data import DataError, LabelledStrip, read_kaggle
from model_export.split import split_strips
from model_export.synthetic import DrawnStrip, drawn_strips
from service.metadata import Split

_HELD_OUT = 40


def labelled_strips(config: TrainConfig) -> list[LabelledStrip]:
    """List every strip of a training, held-out ones included; drawn strips come last."""
    drawn: list[DrawnStrip] = drawn_strips(config.drawn, config.seed)
    if config.data is None:
        return [*drawn, *drawn_strips(_HELD_OUT, config.seed + 1)]
    return [*read_kaggle(config.data, skip_bad=config.skip_bad), *drawn]


def named(strips: Sequence[LabelledStrip], names: Sequence[str]) -> list[LabelledStrip]:
    """Pick strips by name.

    Raises:
        DataError: naming strips that are not there.
    """
    by_name = {strip.name: strip for strip in strips}
    missing = [name for name in names if name not in by_name]
    if missing:
        some = ", ".join(missing[:10])
        raise DataError(f"the data set has changed: {len(missing)} strips of the split are missing: {some}")
    return [by_name[name] for name in names]


def make_split(config: TrainConfig, strips: list[LabelledStrip]) -> Split:
    """Divide the strips of a training; drawn ones that are mixed into real ones are not listed."""
    if config.data is not None:
        real = [strip for strip in strips if not isinstance(strip, DrawnStrip)]
        return split_strips(real, config.folds, config.seed)
    names = [strip.name for strip in strips]
    train, held_out = names[: config.drawn], names[config.drawn :]
    return Split(
        strategy="drawn strips; validation and test from another seed",
        seed=config.seed,
        train=tuple(train),
        validation=tuple(held_out[: _HELD_OUT // 2]),
        test=tuple(held_out[_HELD_OUT // 2 :]),
    )


def sampling_groups(
    config: TrainConfig, strips: list[LabelledStrip], split: Split
) -> list[tuple[list[int], float]]:
    """Say from which indices training samples are drawn, with the share of each group."""
    training = set(split.train)
    real = [i for i, strip in enumerate(strips) if strip.name in training]
    if config.data is None:
        return [(real, 1.0)]
    drawn = [i for i, strip in enumerate(strips) if isinstance(strip, DrawnStrip)]
    return [(real, 1 - config.drawn_share), (drawn, config.drawn_share)]
