"""Recognise the format of a data set by its files, and read its labels."""

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model_export.data.image_index import ImageIndex, is_image, walk_files
from model_export.data.label_table import is_label_table
from model_export.errors import DataError
from model_export.labels.coco import is_coco, read_coco
from model_export.labels.cvat import is_cvat, read_cvat
from model_export.labels.json_file import read_json
from model_export.labels.kaggle_csv import read_kaggle_csv
from model_export.labels.label_studio import is_label_studio, read_label_studio
from model_export.labels.labelme import is_labelme, read_labelme
from model_export.labels.png_masks import find_masks, read_masks
from model_export.labels.source import Format, LabelSource
from model_export.labels.yolo import find_yolo, read_yolo

_OWN = frozenset(("split.csv", "groups.csv", "classes.json", "classes.csv"))
"""Files of the layout that hold no labels."""
_LARGE = 2_000_000
"""Bytes of a JSON file from which on it is not parsed to tell its format."""


@dataclass(frozen=True)
class Dataset:
    """The files of a data set."""

    folder: Path
    files: Sequence[str]
    """Relative to the folder."""
    labels: Path | None = None
    """File or folder of labels that was named."""


def read_source(
    dataset: Dataset, wanted: Format | None, *, row_major: bool
) -> tuple[LabelSource, ImageIndex]:
    """Read the labels of a data set, and list its images.

    Args:
        dataset: its files.
        wanted: format of the labels; None recognises it.
        row_major: whether run-length codes number pixels along rows.

    Raises:
        DataError: if no labels are found, or those of several formats.
    """
    candidates = {kind: found for kind, find in _FINDERS.items() if (found := find(dataset))}
    if wanted is not None:
        found = candidates.get(wanted, [])
        if not found:
            raise DataError(f"{_place(dataset)} holds no labels of the format {wanted}")
        kind = wanted
    else:
        if len(candidates) != 1:
            raise DataError(_explain(dataset, candidates))
        kind, found = next(iter(candidates.items()))
    if kind in ("kaggle", "label-studio", "cvat") and len(found) > 1:
        raise DataError(
            f"{dataset.folder} holds {len(found)} files of labels ({', '.join(found[:5])}): name one with "
            "--labels"
        )
    masks = set(found) if kind == "masks" else set()
    images = [name for name in dataset.files if is_image(name) and name not in masks]
    if not images:
        raise DataError(f"{dataset.folder} holds no image")
    index = ImageIndex(images)
    return _read(dataset, kind, found, index, row_major), index


def _read(
    dataset: Dataset, kind: Format, found: Sequence[str], index: ImageIndex, row_major: bool
) -> LabelSource:
    folder = dataset.folder
    paths = [folder / name for name in found]
    if kind == "kaggle":
        return read_kaggle_csv(paths[0], row_major=row_major)
    if kind == "coco":
        return read_coco(folder, found, row_major=row_major)
    if kind == "label-studio":
        return read_label_studio(paths[0])
    if kind == "cvat":
        return read_cvat(paths[0])
    if kind == "labelme":
        return read_labelme(folder, found, index)
    if kind == "masks":
        return read_masks(folder, found, index, dataset.files)
    yaml_name, texts = find_yolo(folder, dataset.files)
    return read_yolo(folder, yaml_name, [name for name in found if name in set(texts)], dataset.files)


def list_dataset(folder: Path, labels: Path | None) -> Dataset:
    """List the files of a data set.

    Args:
        folder: of the images.
        labels: file or folder of labels, in it or elsewhere.

    Raises:
        DataError: if one of them does not exist.
        OSError: if a folder cannot be read.
    """
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "nothing"
        raise DataError(f"expected a folder of images and labels at {folder}, got {kind}")
    if labels is not None and not labels.exists():
        raise DataError(f"there is no file or folder of labels at {labels}")
    return Dataset(folder, walk_files(folder), labels)


def _named(dataset: Dataset, suffixes: Sequence[str]) -> list[str]:
    """Return files with one of these suffixes: of the labels that were named, else of the data set."""
    if dataset.labels is None:
        names = [name for name in dataset.files if PurePosixPath(name).name.casefold() not in _OWN]
    elif dataset.labels.is_dir():
        names = [str(_relative(dataset, dataset.labels / name)) for name in walk_files(dataset.labels)]
    else:
        names = [str(_relative(dataset, dataset.labels))]
    return [name for name in names if name.casefold().endswith(tuple(suffixes))]


def _relative(dataset: Dataset, path: Path) -> Path:
    """Return a path as ``folder / path`` finds it."""
    try:
        return path.resolve().relative_to(dataset.folder.resolve())
    except ValueError:
        return path.resolve()


def _find_tables(dataset: Dataset) -> list[str]:
    suffixes = (".csv", ".tsv", ".txt") if dataset.labels else (".csv", ".tsv")
    tables = [name for name in _named(dataset, suffixes) if is_label_table(dataset.folder / name)]
    train = [name for name in tables if PurePosixPath(name).name.casefold() == "train.csv"]
    tables = train[:1] if len(train) == 1 else tables
    if dataset.labels is not None and dataset.labels.is_file() and not tables:
        return _named(dataset, (".csv", ".tsv"))  # read_label_table says what is wrong with it
    return tables


def _find_json(belongs: Callable[[object], bool]) -> Callable[[Dataset], list[str]]:
    def find(dataset: Dataset) -> list[str]:
        return [name for name in _named(dataset, (".json",)) if belongs(_peek(dataset.folder / name))]

    return find


def _peek(path: Path) -> object:
    """Return the JSON of a file; of a large one only what tells the format."""
    if path.stat().st_size <= _LARGE:
        try:
            return read_json(path)
        except DataError:
            return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text[:_LARGE].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
            return [{key: None} for key in ("data", "annotation_id") if text.find(f'"{key}"'.encode()) >= 0]
        keys = ("images", "annotations", "categories", "shapes", "imagePath")
        return dict.fromkeys(key for key in keys if text.find(f'"{key}"'.encode()) >= 0)


def _find_cvat(dataset: Dataset) -> list[str]:
    return [name for name in _named(dataset, (".xml",)) if is_cvat(dataset.folder / name)]


def _find_yolo(dataset: Dataset) -> list[str]:
    if dataset.labels is not None and dataset.labels.is_file():
        named = str(_relative(dataset, dataset.labels))
        yaml_name, texts = find_yolo(dataset.folder, dataset.files)
        return texts if yaml_name == named else []
    texts = find_yolo(dataset.folder, dataset.files)[1]
    return texts if dataset.labels is None else [name for name in _named(dataset, (".txt",)) if name in texts]


def _find_masks(dataset: Dataset) -> list[str]:
    if dataset.labels is None:
        return find_masks(dataset.files)
    return [name for name in _named(dataset, ("",)) if is_image(name)] if dataset.labels.is_dir() else []


_FINDERS: Mapping[Format, Callable[[Dataset], list[str]]] = {
    "kaggle": _find_tables,
    "coco": _find_json(is_coco),
    "labelme": _find_json(is_labelme),
    "label-studio": _find_json(lambda document: bool(document) and is_label_studio(document)),
    "cvat": _find_cvat,
    "yolo": _find_yolo,
    "masks": _find_masks,
}


def _place(dataset: Dataset) -> Path:
    return dataset.labels or dataset.folder


def _say_what_is_wrong(dataset: Dataset) -> None:
    """Read the only file that could hold labels.

    Raises:
        DataError: saying why it does not.
    """
    tables, documents = _named(dataset, (".csv", ".tsv")), _named(dataset, (".json",))
    named = [name for name in tables if PurePosixPath(name).name.casefold() == "train.csv"] or tables
    if len(named) == 1 and not documents:
        read_kaggle_csv(dataset.folder / named[0])
    if len(documents) == 1 and not tables:
        read_json(dataset.folder / documents[0])


def _explain(dataset: Dataset, candidates: Mapping[Format, Sequence[str]]) -> str:
    if not candidates:
        _say_what_is_wrong(dataset)
        return (
            f"{_place(dataset)} holds no labels of a known format: expected Kaggle's table, COCO's, "
            "LabelMe's or Label Studio's JSON, CVAT's XML, YOLO's text files or masks as pictures"
        )
    found = "; ".join(f"{kind} ({', '.join(names[:2])}, …)" for kind, names in candidates.items())
    return f"{_place(dataset)} holds labels of several formats: {found}. Choose with --labels or --format"
