"""``import-labels``: add labels that people corrected in a tool to a data set in the layout of training."""

import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_export.data import severstal
from model_export.data.classes import Classes, listed, read_classes, write_classes
from model_export.data.kaggle import read_kaggle, read_labels, write_labels
from model_export.data.label_table import Key
from model_export.data.options import BitsOption
from model_export.data.printable import printable
from model_export.errors import DataError
from model_export.labels.class_list import ClassList, list_classes
from model_export.labels.guess import Dataset, list_dataset, read_source
from model_export.labels.inspect import ImageFacts, inspect_all
from model_export.labels.match import match
from model_export.labels.source import Format, LabelSource
from service.errors import counted
from service.files import locked_folder, whole_file

_LISTED = 10
"""Problems that a message names."""


@dataclass(frozen=True)
class ImportConfig:
    """Add labels corrected in Label Studio, CVAT or another tool to a data set for train."""

    labels: Path
    """The file that the tool exported, in any format that check reads."""
    images: Path
    """Folder of the strips, the one given to `steel predict`."""
    out: Path
    """Folder for train.csv and train_images/. Strips already in it get the corrected labels; other strips
    stay."""
    class_names: tuple[str, ...] = ()
    """Names of the classes in the tool, in the order of their ids; default: those of --out, if it holds a
    data set, else those of the labels."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16. The files are copied as they
    are, so train needs it too."""
    format: Format | None = None
    """Format of the labels; default: recognised by the file."""


def import_labels(config: ImportConfig) -> None:
    """Copy the strips and write their labels.

    Raises:
        DataError: before anything is written, if a strip is missing or cannot be read, its labels are not
            masks of the classes, or another command writes to the folder.
    """
    dataset = list_dataset(config.images, config.labels)
    source, facts = _read(config, dataset)
    classes = _classes(config, source, facts)
    # The layout has no folders within folders.
    targets = {path: path.replace("/", "_") for path in facts}
    if len(set(targets.values())) < len(targets):
        raise DataError("two strips would get the same name: the layout of training is one folder")

    (config.out / "train_images").mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(config.out):  # another command's labels, written meanwhile, would be lost
            _add(config.out, dataset, facts, classes, targets)
    except BlockingIOError as error:
        raise DataError(f"another command writes to {config.out}; wait for its end") from error

    strips = read_kaggle(config.out, bits=config.bits)
    clean = sum(not one.codes for one in facts.values())
    print(
        printable(
            f"{config.out}: {counted(len(facts), 'corrected strip')}, {clean} of them clean; {len(strips)} "
            f"in all; {len(source.unlabelled)} not submitted yet and left out\n"
            f"classes: {listed(classes.classes)}"
        )
    )
    for text, count in source.ignored.items():
        if count:
            print(f"ignored, {text}: {count}")


def _read(config: ImportConfig, dataset: Dataset) -> tuple[LabelSource, dict[str, ImageFacts]]:
    """Read the labels, and open the strips that they name."""
    source, index = read_source(dataset, config.format, row_major=False)
    matches = match(source, index, trust_clean=False)
    if not matches.images and not matches.problems:
        raise DataError(f"{config.labels} holds no labelled strip")
    usable = {path: one for path, one in matches.images.items() if path not in matches.problems}
    inspection = inspect_all(dataset.folder, usable, config.bits)
    problems = [f"{name}: {text}" for name, texts in matches.problems.items() for text in texts]
    problems += [f"{name}: {text}" for name, text in inspection.problems.items()]
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise DataError("; ".join(problems[:_LISTED]) + more)
    return source, inspection.facts


def _classes(config: ImportConfig, source: LabelSource, facts: Mapping[str, ImageFacts]) -> ClassList:
    """Return the classes of the labels; they are those of the data set that they are added to.

    Raises:
        DataError: if they are other ones.
    """
    used = Counter(kind for one in facts.values() for kind in one.areas)
    own = read_classes(config.out) if (config.out / "train.csv").is_file() else None
    names = config.class_names or tuple(one.name for one in own or _severstals(source, used))
    found = list_classes(source, used, config.out, names)
    if own is None:
        return found
    if len(names) != len(own):
        raise DataError(
            f"--class-names: expected {len(own)} names, one per class of {config.out}, got {len(names)}"
        )
    return _numbered_as(own, found)


def _severstals(source: LabelSource, used: Collection[Key]) -> Classes:
    """Return Severstal's classes if the labels name no others: then they correct a shipped model's masks."""
    shown = {str(source.names.get(kind, kind)) for kind in (*source.names, *used)}
    return severstal.CLASSES if shown <= {one.name for one in severstal.CLASSES} else ()


def _numbered_as(own: Classes, found: ClassList) -> ClassList:
    """Return classes with the ids of a data set; names are in the order of these."""
    ids = {one.id: kind.id for one, kind in zip(found.classes, own, strict=True)}
    return ClassList(own, {kind: ids[number] for kind, number in found.ids.items()}, found.notes)


def _add(
    out: Path,
    dataset: Dataset,
    facts: Mapping[str, ImageFacts],
    classes: ClassList,
    targets: Mapping[str, str],
) -> None:
    """Copy strips into a data set, and replace their labels."""
    table = out / "train.csv"
    labels = read_labels(table, classes.classes) if table.exists() else {}
    for path, one in tqdm(facts.items(), "copying", unit="strip", dynamic_ncols=True):
        with whole_file(out / "train_images" / targets[path]) as unfinished:
            shutil.copyfile(dataset.folder / path, unfinished)
        codes = {classes.ids[kind]: code for kind, code in one.codes.items() if kind in classes.ids}
        labels[targets[path]] = [codes.get(kind.id, "") for kind in classes.classes]
    if classes.classes != severstal.CLASSES and not table.exists():
        write_classes(classes.classes, out)
    write_labels(labels, table, classes.classes)
