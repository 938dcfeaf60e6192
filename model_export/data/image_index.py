"""Find the image that a label file means, however its name is written."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from model_export.errors import DataError
from service.images.suffixes import IMAGE_SUFFIXES

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts in front of the name of an uploaded file."""


def walk_files(folder: Path) -> list[str]:
    """Return the files below a folder, relative to it and sorted, without hidden ones and those of macOS.

    Raises:
        OSError: if a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    found: list[str] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        start = PurePosixPath(Path(place).relative_to(folder).as_posix())
        found += [str(start / name) for name in names if not is_debris(name)]
    return sorted(found)


def is_debris(name: str) -> bool:
    """Return whether a file is macOS's or a program's own: ``._strip.png`` is no image."""
    return name.startswith(".")


def is_image(name: str) -> bool:
    """Return whether a file's suffix is that of an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def plain_form(name: str) -> str:
    """Return a path in the form in which equal ones compare equal.

    Case, the composed and decomposed forms of letters, slashes of Windows and spaces around do not count.
    """
    if any("\udc80" <= letter <= "\udcff" for letter in name):  # not UTF-8: what Windows wrote before it
        name = name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    form = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
    return form.replace("\\", "/").removeprefix("./")


def _exact(path: str) -> str:
    return path


def _without_suffix(path: str) -> str:
    form = plain_form(path)
    return str(PurePosixPath(form).with_suffix("")) if is_image(form) else form


def _without_upload(path: str) -> str:
    form = PurePosixPath(plain_form(path))
    return _UPLOADED.sub("", form.name)


_FORMS: tuple[Callable[[str], str], ...] = (_exact, plain_form, _without_suffix, _without_upload)
"""From strict to lenient: the first that finds an image decides."""


class ImageIndex:
    """The images of a data set by every form of their names.

    Args:
        paths: relative to the folder of the data set, with slashes.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = sorted(paths)
        self._known = set(self.paths)
        self._by_name: dict[int, dict[str, list[str]]] = {}
        for number, form in enumerate(_FORMS):
            names: dict[str, list[str]] = defaultdict(list)
            for path in self.paths:
                names[_last(form(path))].append(path)
            self._by_name[number] = dict(names)

    def find(self, name: str) -> str:
        """Return the image that a label file means.

        Folders in front of the name may be missing or other ones, as long as only one image is meant.

        Raises:
            DataError: if there is none or more than one.
        """
        if name in self._known:
            return name
        for number, form in enumerate(_FORMS):
            wanted = form(name)
            matches = self._by_name[number].get(_last(wanted), [])
            if not matches:
                continue
            lengths = {path: _common_tail(wanted, form(path)) for path in matches}
            best = [path for path in matches if lengths[path] == max(lengths.values())]
            if len(best) > 1:
                some = ", ".join(best[:3])
                raise DataError(f"expected one image of this name, got {len(best)}: {some}")
            return best[0]
        raise DataError("there is no image of this name")


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _common_tail(first: str, second: str) -> int:
    """Return how many parts of two paths are equal, from the end."""
    count = 0
    for one, other in zip(reversed(first.split("/")), reversed(second.split("/")), strict=False):
        if one != other:
            break
        count += 1
    return count
