"""Models on disk, in the layout that Triton and KServe read: <name>/<version>/model.onnx."""

from pathlib import Path

from service.errors import ModelFileError

MODEL = "model.onnx"
GPU_MODEL = "gpu.onnx"
"""The same network in the arithmetic that a GPU is fastest in, beside ``model.onnx``."""


def find_model(path: Path) -> Path:
    """Return the ONNX file that ``path`` means.

    A file means itself. A folder means the highest version of the one model in it; the folder of
    one model, or of one version, is understood as well.

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
        raise ModelFileError(f"{path} holds no <name>/<version>/{MODEL}")
    raise ModelFileError(
        f"{path} holds several models ({', '.join(name.name for name in names)}); name one of the folders"
    )


def gpu_variant(model: Path) -> Path:
    """Return the file for GPUs that lies beside a model file, or the model file if there is none."""
    variant = model.with_name(GPU_MODEL)
    return variant if variant.is_file() else model
