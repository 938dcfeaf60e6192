"""Models on disk, in the layout of Triton and KServe: <name>/<version>/model.onnx.

Each file has its checksum beside it, model.onnx.sha256, as ``sha256sum`` writes it.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from service.errors import ModelFileError

MODEL = "model.onnx"
GPU_MODEL = "gpu.onnx"
"""The same network in the fastest arithmetic of a GPU, beside ``model.onnx``."""

_ONNX_START = b"\x08"
"""Protocol Buffers' tag of the first field of an ONNX file, its format's version."""
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
"""One line of ``sha256sum``: the hash, a blank or ``*`` for binary, the name."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file whose bytes match its checksum, read once."""

    path: Path
    data: bytes
    sha256: str
    """In lower case."""


def checksum_file(model: Path) -> Path:
    """Return the path of a model file's checksum."""
    return model.with_name(f"{model.name}.sha256")


def write_checksum(model: Path) -> None:
    """Write the checksum of a model file beside it."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    checksum_file(model).write_text(f"{digest}  {model.name}\n")


def read_model(path: Path) -> ModelFile:
    """Read a model file and compare it with its checksum, before anything parses it.

    Raises:
        ModelFileError: if the file or its checksum is missing or cannot be read, or they do not match.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file at {path}")
    beside = checksum_file(path)
    if not beside.is_file():
        _check_kind(path)
        raise ModelFileError(
            f"{path} has no checksum beside it; if you trust the file, write one in its folder: "
            f"sha256sum {path.name} > {beside.name}"
        )
    try:
        text, data = beside.read_text(errors="replace"), path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    line = _CHECKSUM.fullmatch(text.strip())
    if line is None:
        raise ModelFileError(
            f"{beside}: expected one line as sha256sum writes it: hash, two blanks, {path.name}"
        )
    expected, name = line[1].lower(), Path(line[2]).name
    if name != path.name:
        raise ModelFileError(f"{beside}: expected the checksum of {path.name}, got that of {name}")
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ModelFileError(f"{path}: expected sha256 {expected}, as in {beside.name}, got {found}")
    return ModelFile(path, data, found)


def _check_kind(path: Path) -> None:
    """Check that a file may be an ONNX file, so that nobody is told to trust a README.

    Raises:
        ModelFileError: if it cannot be one or cannot be read.
    """
    try:
        with path.open("rb") as file:
            first = file.read(len(_ONNX_START))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    if first != _ONNX_START:
        raise ModelFileError(f"{path}: expected an ONNX file, got another kind of file")


def find_model(path: Path) -> Path:
    """Return the ONNX file at a path.

    Args:
        path: an ONNX file, or the folder of one version, of one model or of a repository with one model;
            of several versions the highest is taken.

    Raises:
        ModelFileError: if there is no model, or more than one name to choose from.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelFileError(f"there is no model at {path}")
    if (path / MODEL).is_file():
        return path / MODEL
    versions = [file for file in path.glob(f"*/{MODEL}") if file.parent.name.isdigit()]
    if versions:
        return max(versions, key=lambda file: int(file.parent.name))
    names = sorted({file.parent.parent for file in path.glob(f"*/*/{MODEL}") if file.parent.name.isdigit()})
    if len(names) == 1:
        return find_model(names[0])
    if not names:
        raise ModelFileError(f"expected <name>/<version>/{MODEL} in {path}, got none")
    raise ModelFileError(
        f"expected one model in {path}, got several models ({', '.join(name.name for name in names)}): name "
        "the folder of one"
    )


def gpu_variant(model: Path) -> Path:
    """Return the file for GPUs beside a model file, or the model file if there is none."""
    variant = model.with_name(GPU_MODEL)
    return variant if variant.is_file() else model
