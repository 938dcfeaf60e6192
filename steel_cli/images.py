"""The images of a folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from service.images.suffixes import IMAGE_SUFFIXES
from steel_client.errors import ConfigurationError


def is_image(name: str) -> bool:
    """Return whether a file's name is one of an image."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def check_folder(path: Path) -> None:
    """Check that a path is a folder.

    Raises:
        ConfigurationError: saying whether something else is there.
    """
    if path.is_dir():
        return
    if path.is_symlink() or path.exists():
        raise ConfigurationError(f"expected a folder, got {str(path)!r}, which is something else")
    raise ConfigurationError(f"there is no folder {str(path)!r}")


def find_images(folder: Path, out: Path, on_error: Callable[[OSError], None]) -> Iterator[str]:
    """Yield the images in a folder and its subfolders, as paths relative to it.

    Args:
        folder: to search.
        out: folder of the results, which holds pictures; it is left out.
        on_error: called with the error of a folder that cannot be listed.
    """
    for path, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(one for one in folders if one != out.name or not _same(Path(path) / one, out))
        for name in sorted(names):
            file = Path(path) / name
            if is_image(name) and file.is_file():
                yield file.relative_to(folder).as_posix()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
