"""The tile of a model, from its file."""

from dataclasses import dataclass
from pathlib import Path

from steel_capacity.plan import Measured


@dataclass(frozen=True, slots=True)
class Tile:
    """Input of a model, in pixels."""

    across: int
    along: int
    pad: bool = False
    """Whether the service pads smaller frames, unless a request says otherwise."""
    model: str | None = None
    """Name of the model; None if only its tile is known."""

    def like(self, measured: Measured) -> bool:
        """Return whether a measured speed is that of this tile, which may be turned, and model."""
        pixels = measured.tile_across * measured.tile_along
        return self.across * self.along == pixels and self.model in (None, measured.model)

    def __str__(self) -> str:
        return f"{self.model or 'a model'} with tiles of {self.across} x {self.along}"


def read_tile(path: Path) -> Tile:
    """Read the tile of a model file, or of the folder of a model.

    Raises:
        ValueError: if there is no such file, or this environment cannot read it.
    """
    # Imported here only: without --model the calculator needs no onnxruntime.
    try:
        from service.errors import ModelFileError
        from service.model.providers import open_cpu
        from service.model.repository import find_model, read_model
        from service.model.session import read_metadata
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--model: {error.name} is not installed here; pip install '.[cpu]', or give --tile-across and "
            "--tile-along instead"
        ) from error
    try:
        file = find_model(path)
        metadata = read_metadata(open_cpu(read_model(file), 1), file)
    except ModelFileError as error:
        raise ValueError(f"--model: {error}") from error
    return Tile(metadata.width, metadata.height, metadata.pad, metadata.name)
