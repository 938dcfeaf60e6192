"""Packages that a command needs and that ``pip install .`` leaves out."""

import contextlib
import sys
from collections.abc import Iterator

from steel_client.errors import SteelError

_OWN = {"service", "steel_bulk", "steel_cli", "steel_client"}


@contextlib.contextmanager
def requires(extras: str, alternative: str = "") -> Iterator[None]:
    """Turn a failed import in the block into an error that names the extras to install.

    Args:
        extras: of this project, separated by commas.
        alternative: end of the message: what works without them.

    Raises:
        SteelError: if a package of somebody else is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in _OWN:
            raise
        hint = ", with openvino or gpu instead of cpu as the machine has it" if "cpu" in extras else ""
        install = f"{sys.executable} -m pip install '.[{extras}]'"
        raise SteelError(
            f"{name} is not installed in {sys.prefix}; in the checkout, {install}{hint}{alternative}"
        ) from error
