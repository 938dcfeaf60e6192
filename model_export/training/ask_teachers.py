"""``soft-targets``: run teachers once, with flips, and keep their mean output for trainings to learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from model_export.data.classes import Classes, listed, read_classes
from model_export.data.digest import digest_strips, strip_digest
from model_export.data.kaggle import list_images, read_image, read_kaggle
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.options import BitsOption
from model_export.data.soft_targets import REDUCTION, SoftTarget, reduced, write_soft_targets
from model_export.data.tables import read_table
from model_export.data.tile import Frame, Tile, cut_frame
from model_export.errors import DataError, check_least
from model_export.training.checkpoint import load_checkpoint
from model_export.training.config import TrainConfig, run_folder
from model_export.training.lineage import check_teacher, check_unseen
from model_export.training.sources import make_split, select_strips
from model_export.training.teacher import Teacher
from service.geometry import Strip
from service.model.metadata import ModelMetadata
from service.model.repository import find_model
from service.model.session import OrtSession
from service.model.tiles import blend_maps, combine_classes

CLASSES_FILE = "classes.csv"
"""File beside unlabelled images that names the classes on them: image_id,classes; classes like "1 3"."""

_FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))

SoftMasks = npt.NDArray[np.float32]
"""float32 ``[classes, height / REDUCTION, width / REDUCTION]``."""
Classified = npt.NDArray[np.float32]
"""float32 ``[classes]``."""


@dataclass(frozen=True)
class SoftTargetsConfig:
    """Write the mean output of teachers for each fold, by teachers that did not see the fold.

    Writes --out/fold-1, fold-2, … and all/, for train --soft-targets. A folder that is complete is kept.
    """

    data: Path
    """Folder in Kaggle's layout."""
    teacher: tuple[Path, ...]
    """Checkpoints and model files; folders of cross-validate, and models with files of their folds, from
    which each fold takes its own, and the training on all strips takes all. One that saw a strip of the fold,
    told by its pixels, is refused."""
    out: Path = Path("runs/soft-targets")
    """Folder to write to."""
    unlabelled: tuple[Path, ...] = ()
    """Folders of more images to run. Where one holds classes.csv (image_id,classes), masks of other classes
    are emptied, and its classes are certain."""
    flips: bool = True
    """Average over the strip and its three mirror images; otherwise a quarter of the time."""
    folds: int = 5
    """Number of folds, as for cross-validate."""
    groups: Path | None = None
    """Table with the columns ImageId,Group, as for cross-validate."""
    split: Path | None = None
    """Table with the columns ImageId,Set, as for cross-validate."""
    fold_file: Path | None = None
    """CSV with the columns name,fold, as for cross-validate."""
    seed: int = 0
    """Seed of the folds, as for cross-validate."""
    bits: BitsOption = None
    """Bits of a pixel in 16-bit images, as for train."""
    only: tuple[int, ...] = ()
    """Only these folds, 0 being all strips; default: 1 to --folds, then 0."""
    threads: int | None = None
    """Threads of torch and of onnxruntime."""


class _Asked(Protocol):
    """A teacher that answers one tile."""

    @property
    def tile(self) -> Tile:
        """What it takes."""
        ...

    def answer(self, strip: Strip) -> tuple[SoftMasks, Classified]:
        """Return probabilities of masks, reduced by ``REDUCTION``, and of classes, of a tile."""
        ...


class _AskedFile:
    """A model file as a teacher."""

    def __init__(self, path: Path, threads: int | None) -> None:
        self._session = OrtSession(path, threads=threads)
        self.metadata: ModelMetadata = self._session.metadata
        self.tile = Tile.of(self.metadata)

    def answer(self, strip: Strip) -> tuple[SoftMasks, Classified]:
        found = self._session.infer([strip])[0]
        return _reduce(found.masks).transpose(0, 2, 1), found.classes


class _AskedCheckpoint:
    """A checkpoint as a teacher."""

    def __init__(self, path: Path, tile: Tile) -> None:
        self._teacher = Teacher([path], torch.device("cpu"))
        self.tile = tile

    def answer(self, strip: Strip) -> tuple[SoftMasks, Classified]:
        pixels = torch.tensor(strip).float()[None, None]
        masks, classes = self._teacher.predict(pixels, reduced(self.tile.shape))
        return masks[0].numpy(), classes[0].numpy()


def _reduce(maps: npt.NDArray[np.uint8]) -> SoftMasks:
    """Average squares of ``REDUCTION`` pixels of uint8 maps, ``[classes, width, height]``; return 0 to 1."""
    _, width, height = maps.shape
    padded = np.pad(maps, ((0, 0), (0, -width % REDUCTION), (0, -height % REDUCTION)), mode="edge")
    squares = padded.reshape(
        len(maps), padded.shape[1] // REDUCTION, REDUCTION, padded.shape[2] // REDUCTION, REDUCTION
    )
    means: SoftMasks = squares.mean(axis=(2, 4), dtype=np.float32) / 255
    return means


def _ask(teacher: _Asked, strip: Strip) -> tuple[SoftMasks, Classified]:
    """Return a teacher's answer for a strip of any size, tile by tile where it is larger than a tile."""
    frame = cut_frame(strip, teacher.tile)
    answers = [teacher.answer(tile) for tile in frame.tiles]
    if frame.plan.count == 1:
        height, width = reduced(frame.shape)
        masks, classes = answers[0]
        return masks[:, :height, :width], classes
    classes = combine_classes(np.stack([one for _, one in answers]))
    return _join(frame, [masks for masks, _ in answers]), classes


def _join(frame: Frame, masks: Sequence[SoftMasks]) -> SoftMasks:
    """Blend reduced masks of tiles, which need not lie on multiples of ``REDUCTION``."""
    bytes_ = [(one * 255).round().astype(np.uint8).transpose(0, 2, 1) for one in masks]
    large = [one.repeat(REDUCTION, axis=1).repeat(REDUCTION, axis=2) for one in bytes_]
    height, width = frame.shape
    return _reduce(blend_maps(frame.plan, large)[:, :width, :height]).transpose(0, 2, 1)


def soft_targets(config: SoftTargetsConfig) -> None:
    """Write soft targets as configured.

    Raises:
        DataError: if a teacher is missing or saw a strip of the fold that it is asked about.
    """
    check_least("--threads", config.threads, 1)
    check_least("--folds", config.folds, 2)
    check_least("--seed", config.seed, 0)
    if config.threads:
        torch.set_num_threads(config.threads)
    strips = read_kaggle(config.data, bits=config.bits)
    classes = read_classes(config.data)
    digests = digest_strips(strips)
    images: dict[Path, frozenset[int] | None] = dict.fromkeys(strip.path for strip in strips)
    for folder in config.unlabelled:
        known = _read_known(folder, classes)
        images |= {path: known.get(path.name) for path in list_images(folder)}
    for fold in config.only or (*range(1, config.folds + 1), 0):
        out = run_folder(config.out, fold)
        if (out / "index.json").exists():
            print(f"{out} is complete")
            continue
        training = TrainConfig(
            data=config.data,
            folds=config.folds,
            fold=fold,
            groups=config.groups,
            split=config.split,
            fold_file=config.fold_file,
            seed=config.seed,
        )
        held_out = select_strips(strips, make_split(training, list(strips)).test)
        _write_fold(config, fold, images, digests, held_out, classes)


def _write_fold(
    config: SoftTargetsConfig,
    fold: int,
    images: Mapping[Path, frozenset[int] | None],
    digests: Mapping[str, str],
    held_out: Sequence[LabelledStrip],
    classes: Classes,
) -> None:
    hidden = {strip.name: digests[strip.name] for strip in held_out}
    teachers: list[_Asked] = []
    seen: frozenset[str] = frozenset()
    paths = [path for named in config.teacher for path in _files_of_fold(named, fold)]
    for path in paths:
        teacher, own = _open_teacher(path, digests, classes, config.threads)
        check_unseen(path, own, hidden)
        teachers.append(teacher)
        seen |= own
    skipped = {strip.name for strip in held_out}
    targets = {}
    title = f"fold {fold}" if fold else "all strips"
    asked = [(path, known) for path, known in images.items() if path.name not in skipped]
    for path, known in tqdm(asked, title, unit="strip", dynamic_ncols=True):
        strip = read_image(path, config.bits)
        targets[strip_digest(strip)] = _mean_answer(teachers, strip, config.flips, known)
    write_soft_targets(run_folder(config.out, fold), targets, seen, [path.name for path in paths])


def _mean_answer(
    teachers: Sequence[_Asked], strip: Strip, flips: bool, known: frozenset[int] | None
) -> SoftTarget:
    masks: npt.NDArray[np.float64] = np.zeros(1)
    classes: npt.NDArray[np.float64] = np.zeros(1)
    chosen = _FLIPS if flips else _FLIPS[:1]
    for rows, columns in chosen:
        turned = np.ascontiguousarray(strip[::rows, ::columns])
        for teacher in teachers:
            found, present = _ask(teacher, turned)
            masks = masks + found[:, ::rows, ::columns]
            classes = classes + present
    count = len(teachers) * len(chosen)
    masks, classes = masks / count, classes / count
    if known is not None:
        classes = np.array([float(position in known) for position in range(len(classes))])
        masks *= classes[:, None, None]
    return SoftTarget((masks * 255).round().astype(np.uint8), classes.astype(np.float32))


def _files_of_fold(path: Path, fold: int) -> list[Path]:
    """Return the files of a teacher for one fold; for fold 0 the training on all strips and every fold's.

    Raises:
        DataError: if there is none.
    """
    if path.is_file():
        return [path]
    if run_folder(path, 0).is_dir():
        kept = [run_folder(path, fold)] if fold else [run_folder(path, 0), *sorted(path.glob("fold-*"))]
        return [folder / "best.pt" for folder in kept]
    model = find_model(path)
    folds = sorted(model.parent.glob("folds/*.onnx"))
    kept = [file for file in folds if file.stem == str(fold)] if fold else [model, *folds]
    if not kept:
        raise DataError(f"expected a checkpoint, or the file of fold {fold}, of {path}; there is none")
    return kept


def _open_teacher(
    path: Path, digests: Mapping[str, str], classes: Classes, threads: int | None
) -> tuple[_Asked, frozenset[str]]:
    """Open a teacher; also return the digests of the strips that it saw.

    A model file names its strips; the digests are those of the strips with these names in the data.

    Raises:
        DataError: if it knows other classes.
    """
    if path.suffix != ".onnx":
        state = load_checkpoint(path)
        check_teacher(path, state.classes, classes)
        return _AskedCheckpoint(path, state.tile), frozenset(state.seen)
    asked = _AskedFile(path, threads)
    check_teacher(path, asked.metadata.classes, classes)
    split = asked.metadata.split
    names = {*split.train, *split.validation}
    gone = len(names - digests.keys())
    if gone:
        print(f"warning: {path} saw {gone} strips that are not in the data under their names")
    return asked, frozenset(digests[name] for name in names if name in digests)


def _read_known(folder: Path, classes: Classes) -> dict[str, frozenset[int]]:
    """Read ``classes.csv``: positions of the classes on each image."""
    path = next((at / CLASSES_FILE for at in (folder, folder.parent) if (at / CLASSES_FILE).is_file()), None)
    if path is None:
        return {}
    positions = {str(kind.id): position for position, kind in enumerate(classes)}
    known = {}
    for line, row in read_table(path, ("image_id", "classes")):
        ids = row["classes"].split()
        unknown = [one for one in ids if one not in positions]
        if unknown:
            raise DataError(f"{path}, line {line}: expected ids of {listed(classes)}, got {unknown[0]!r}")
        known[row["image_id"]] = frozenset(positions[one] for one in ids)
    return known
