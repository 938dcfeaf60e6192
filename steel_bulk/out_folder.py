"""The folder that ``--out`` names."""

from pathlib import Path

from steel_client.errors import ConfigurationError


def check_out(path: Path) -> None:
    """Check that a path is a folder, or that one can be created there.

    Raises:
        ConfigurationError: naming the file that is there instead.
    """
    for one in (path, *path.parents):
        if one.is_dir():
            return
        if one.is_symlink() or one.exists():
            raise ConfigurationError(f"--out: expected a folder, got {str(one)!r}, which is something else")
