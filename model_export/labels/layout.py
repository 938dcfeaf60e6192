"""The one layout that training reads: ``train.csv``, ``train_images/``, ``classes.json`` and own tables."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_export.data.classes import Classes, write_classes
from model_export.errors import DataError
from service.errors import counted
from service.files import about, whole_file


@dataclass(frozen=True)
class LayoutImage:
    """An image to write."""

    path: Path
    codes: Mapping[int, str]
    """Kaggle's run-length code by id of the class."""
    group: str | None = None
    set: str | None = None


def flat_names(paths: Sequence[str]) -> dict[str, str]:
    """Return a name without folders for each path: its own if no other has it, else with its folders.

    Raises:
        DataError: if two paths would get the same.
    """
    counts = Counter(path.rsplit("/", 1)[-1].casefold() for path in paths)
    names = {}
    for path in paths:
        last = path.rsplit("/", 1)[-1]
        names[path] = last if counts[last.casefold()] == 1 else path.replace("/", "_")
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise DataError(f"two images would both be called {twice[0]} in one folder: rename one")
    return names


def write_layout(images: Mapping[str, LayoutImage], classes: Classes, folder: Path) -> None:
    """Write a data set into a new folder, which appears when it is whole.

    Args:
        images: by their names in the layout.
        classes: of the masks.
        folder: that does not exist yet, or is empty.

    Raises:
        DataError: if there is something in the folder.
        OSError: of the file system; nothing is left behind.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name[:40]}.{os.getpid()}.unfinished")
    try:
        with about(folder):
            (unfinished / "train_images").mkdir(parents=True)
            for name, image in tqdm(images.items(), "writing", unit="image", dynamic_ncols=True):
                _link(image.path, unfinished / "train_images" / name)
            rows = [(n, kind, code) for n, one in images.items() for kind, code in sorted(one.codes.items())]
            _write_table(unfinished / "train.csv", ("ImageId", "ClassId", "EncodedPixels"), rows)
            write_classes(classes, unfinished)
            groups = [(name, one.group) for name, one in images.items() if one.group is not None]
            if groups:
                _write_table(unfinished / "groups.csv", ("ImageId", "Group"), groups)
            sets = [(name, one.set) for name, one in images.items() if one.set is not None]
            if sets:
                _write_table(unfinished / "split.csv", ("ImageId", "Set"), sets)
            if folder.is_dir():
                folder.rmdir()
            unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def check_free(folder: Path) -> None:
    """Check that a folder can be written.

    Raises:
        DataError: if there is something at its place.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder} holds {counted(len(list(folder.iterdir())), 'file')}: expected another --out"
        )
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: expected a folder for --out")


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system does not."""
    real = source.resolve()
    with suppress(OSError):
        os.link(real, target)
        return
    shutil.copyfile(real, target)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerows([header, *rows])
