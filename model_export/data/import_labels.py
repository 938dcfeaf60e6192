"""``import-labels``: corrected labels of a labelling tool in Kaggle's layout."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_export.data.kaggle import pixel_problem, read_kaggle, read_labels, write_labels
from model_export.data.label_tools import TURNED, find_image, read_export
from model_export.data.options import BitsOption
from model_export.data.severstal import CLASSES
from model_export.errors import DataError
from service.errors import counted
from service.files import locked_folder, whole_file
from service.geometry import BitDepth
from service.images.orientation import orientation_of
from service.images.suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True)
class ImportConfig:
    """Convert labels corrected in Label Studio (JSON) or CVAT (COCO 1.0) to Kaggle's layout."""

    labels: Path
    """The JSON file that the tool exported."""
    images: Path
    """Folder of the strips, the one given to `steel predict`."""
    out: Path
    """Folder for train.csv and train_images/. Strips already in it get the corrected labels; other strips
    stay."""
    class_names: tuple[str, ...] = tuple(kind.name for kind in CLASSES)
    """Names of the classes 1 to 4 in the tool."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: all 16. The files are copied as they
    are, so train needs it too."""


def import_labels(config: ImportConfig) -> None:
    """Copy the strips and write their labels.

    Raises:
        DataError: before anything is written, if a strip is missing or cannot be read, its labels are not
            masks of the four classes, or another command writes to the folder.
    """
    corrected = read_export(config.labels, config.class_names)
    images = sorted(
        path.relative_to(config.images).as_posix()
        for path in config.images.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
    )
    chosen = {find_image(name, images): codes for name, codes in corrected.labels.items()}
    if not chosen:
        raise DataError(f"{config.labels} holds no labelled strip")
    if len(chosen) < len(corrected.labels):
        raise DataError(f"{config.labels} names an image twice")
    problems = [f"{name}: {text}" for name in chosen if (text := _problem(config.images / name, config.bits))]
    # Kaggle's layout has no folders within folders.
    targets = {name: name.replace("/", "_") for name in chosen}
    if len(set(targets.values())) < len(targets):
        problems.append("two strips would get the same name: Kaggle's layout is one folder")
    if problems:
        raise DataError("; ".join(problems[:10]))

    folder = config.out / "train_images"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(config.out):  # another command's labels, written meanwhile, would be lost
            table = config.out / "train.csv"
            labels = read_labels(table) if table.exists() else {}
            for name, codes in tqdm(chosen.items(), "copying", unit="strip", dynamic_ncols=True):
                with whole_file(folder / targets[name]) as unfinished:
                    shutil.copyfile(config.images / name, unfinished)
                labels[targets[name]] = list(codes)
            write_labels(labels, table)
    except BlockingIOError as error:
        raise DataError(f"another command writes to {config.out}; wait for its end") from error

    strips = read_kaggle(config.out, bits=config.bits)
    clean = sum(not any(codes) for codes in chosen.values())
    print(
        f"{config.out}: {counted(len(chosen), 'corrected strip')}, {clean} of them clean; {len(strips)} in "
        f"all; {corrected.unlabelled} not submitted yet and left out"
    )


def _problem(path: Path, bits: BitDepth | None) -> str | None:
    """Return why a strip cannot be imported; None if it can."""
    problem = pixel_problem(path, bits)
    if problem is None and (turned := orientation_of(path.read_bytes())) != 1:
        return f"expected no EXIF orientation, got {turned}: {TURNED}"
    return problem
