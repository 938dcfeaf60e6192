"""The strips of a training: all of them, their split, and the samples made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data import severstal
from model_export.data.classes import Classes, read_classes
from model_export.data.kaggle import KaggleStrip, list_images, read_image, read_kaggle
from model_export.data.labelled_strip import LabelledStrip, Masks
from model_export.data.own_split import SETS, check_apart, read_groups, read_sets, split_sets, subset
from model_export.data.paste import PastedStrip
from model_export.data.soft_targets import SoftTargets, UnlabelledStrip
from model_export.data.split import read_fold_file, split_fold, split_strips
from model_export.data.synthetic import DrawnStrip, drawn_strips
from model_export.data.tile import Tile, choose_tile
from model_export.errors import DataError, OptionError
from model_export.training.config import TrainConfig, check_tile, run_folder
from service.geometry import BitDepth, Strip
from service.model.metadata import Split

_HELD_OUT = 40


@dataclass(frozen=True)
class BackgroundStrip:
    """A defective strip that is cropped where it is clean: the same steel without the defect."""

    strip: LabelledStrip
    classes: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """A file name for lists."""
        return f"background-{self.strip.name}"

    def load(self) -> tuple[Strip, Masks]:
        """Read the strip and its masks; a crop shows defects if there is no room beside them."""
        return self.strip.load()


def list_classes(config: TrainConfig) -> Classes:
    """Return the classes of a training's data set; those of drawn strips without one."""
    return severstal.CLASSES if config.data is None else read_classes(config.data)


def list_strips(config: TrainConfig) -> list[LabelledStrip]:
    """Return every strip of a training, held-out ones included; drawn strips come last.

    Raises:
        DataError: if drawn strips are to be mixed into strips of other classes than they show.
    """
    drawn: list[DrawnStrip] = drawn_strips(config.drawn, config.seed)
    if config.data is None:
        return [*drawn, *drawn_strips(_HELD_OUT, config.seed + 1)]
    strips = read_kaggle(config.data, bits=config.bits, skip_bad=config.skip_bad)
    if list_classes(config) == severstal.CLASSES:
        return [*strips, *drawn]
    if config.drawn_share:
        raise DataError(
            f"--drawn-share {config.drawn_share}: drawn strips show Severstal's classes, and "
            f"{config.data} has others"
        )
    return list(strips)


def find_tile(config: TrainConfig, strips: Sequence[LabelledStrip]) -> Tile:
    """Return the tile of a training: the one that was asked for, or that of its strips.

    Raises:
        DataError: see ``choose_tile``.
        OptionError: if the network cannot take it.
    """
    photographed = [strip.shape for strip in strips if isinstance(strip, KaggleStrip)]
    shapes = photographed or [strip.shape for strip in strips if isinstance(strip, DrawnStrip)]
    tile = choose_tile(shapes, config.tile)
    check_tile(tile.shape, config.network)
    return tile


def select_strips(strips: Sequence[LabelledStrip], names: Sequence[str]) -> list[LabelledStrip]:
    """Return the strips with these names, in their order.

    Raises:
        DataError: naming strips that are missing.
    """
    by_name = {strip.name: strip for strip in strips}
    missing = [name for name in names if name not in by_name]
    if missing:
        some = ", ".join(missing[:10])
        raise DataError(f"the data set has changed: {len(missing)} strips of the split are missing: {some}")
    return [by_name[name] for name in names]


def make_split(config: TrainConfig, strips: list[LabelledStrip]) -> Split:
    """Split the strips of a training; drawn strips that are mixed into real ones are not listed.

    Raises:
        OptionError: if folds are set without a data set.
    """
    if config.data is None and config.fold is not None:
        raise OptionError("--fold needs photographed strips: name them with --data FOLDER")
    if config.data is not None:
        return _split_photographed(config, config.data, strips)
    names = [strip.name for strip in strips]
    train, held_out = names[: config.drawn], names[config.drawn :]
    return Split(
        strategy="drawn strips; validation and test from another seed",
        seed=config.seed,
        train=tuple(train),
        validation=tuple(held_out[: _HELD_OUT // 2]),
        test=tuple(held_out[_HELD_OUT // 2 :]),
    )


def _split_photographed(config: TrainConfig, data: Path, strips: list[LabelledStrip]) -> Split:
    real = [strip for strip in strips if not isinstance(strip, DrawnStrip)]
    groups, sets = read_groups(data, real, config.groups), read_sets(data, real, config.split)
    if sets is not None:
        check_apart(real, groups, sets)
        if "train" not in sets:
            raise DataError(f"{config.split or data / SETS}: expected images that train, got none")
    if config.fold is None:
        if sets is not None:
            return split_sets(real, sets, config.folds, config.seed, groups)
        return split_strips(real, config.folds, config.seed, groups)
    if sets is not None:  # its test strips stay unseen by every fold
        kept = [index for index, one in enumerate(sets) if one != "test"]
        real = [real[index] for index in kept]
        groups = None if groups is None else subset(groups, kept)
    file = config.fold_file
    assigned = None if file is None else read_fold_file(file, real, config.folds)
    if assigned is not None:
        fold_of = {index: f"fold {number}" for number, fold in enumerate(assigned, 1) for index in fold}
        check_apart(real, groups, [fold_of[index] for index in range(len(real))])
    return split_fold(real, config.folds, config.fold, config.seed, assigned, groups)


def list_samples(
    config: TrainConfig, strips: list[LabelledStrip], split: Split, targets: SoftTargets | None = None
) -> tuple[list[LabelledStrip], list[tuple[list[int], float]]]:
    """Return the strips that samples are made from, and groups of their indices, each with its share.

    The groups are real strips of the training part, drawn strips, the background of real defective strips,
    clean strips with pasted defects, and unlabelled strips.

    Raises:
        DataError: if an unlabelled strip has no soft target.
        OptionError: if the shares are more than 1 together.
    """
    training = set(split.train)
    real = [strip for strip in strips if strip.name in training]
    if config.data is None:
        return real, [(list(range(len(real))), 1.0)]
    unlabelled = list_unlabelled(config.unlabelled, targets, config.bits) if targets is not None else []
    unlabelled_share = config.unlabelled_share if unlabelled else 0.0
    others = (config.drawn_share, config.background_share, config.pasted_share, unlabelled_share)
    real_share = 1 - sum(others)
    if real_share < -1e-9:
        raise OptionError(
            f"--drawn-share {config.drawn_share}, --background-share {config.background_share}, "
            f"--pasted-share {config.pasted_share} and --unlabelled-share {unlabelled_share} "
            "add up to more than 1"
        )
    drawn = [strip for strip in strips if isinstance(strip, DrawnStrip)]
    clean = tuple(strip for strip in real if not strip.classes)
    defective = [strip for strip in real if strip.classes]
    pasted = [PastedStrip(strip, clean) for strip in defective] if clean else []
    parts: list[tuple[Sequence[LabelledStrip], float]] = [
        (real, max(0.0, real_share)),
        (drawn, config.drawn_share),
        ([BackgroundStrip(strip) for strip in defective], config.background_share),
        (pasted, config.pasted_share),
        (unlabelled, unlabelled_share),
    ]
    samples: list[LabelledStrip] = []
    groups = []
    for part, share in parts:
        if not part:
            continue
        groups.append((list(range(len(samples), len(samples) + len(part))), share))
        samples += part
    return samples, groups


def open_soft_targets(config: TrainConfig) -> SoftTargets | None:
    """Open the soft targets of a training's fold; None if it has none.

    Raises:
        DataError: if ``soft-targets`` did not write them.
    """
    if config.soft_targets is None or config.fold is None:
        return None
    return SoftTargets(run_folder(config.soft_targets, config.fold))


def list_unlabelled(
    folders: Sequence[Path], targets: SoftTargets, bits: BitDepth | None = None
) -> list[UnlabelledStrip]:
    """Return the images of folders with what the teachers see on them.

    Args:
        folders: to list.
        targets: what the teachers see.
        bits: of a pixel in 16-bit files; None expects all 16 in use.

    Raises:
        DataError: naming images that the teachers were not asked about.
    """
    paths = [path for folder in folders for path in list_images(folder)]
    found = [(path, targets.find(read_image(path, bits))) for path in paths]
    missing = [str(path) for path, target in found if target is None]
    if missing:
        raise DataError(
            f"{len(missing)} unlabelled strips have no soft target, e.g. {missing[0]}: name their folders to "
            "soft-targets too"
        )
    return [UnlabelledStrip(path, target, bits) for path, target in found if target is not None]
