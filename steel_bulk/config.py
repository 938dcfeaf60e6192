"""Options of ``steel bulk``; imports nothing of the extra ``bulk``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from steel_bulk.options import BitsOption, PadOption


@dataclass(frozen=True)
class BulkConfig:
    """Find the defects on every strip of an archive; write the answers as Parquet."""

    source: tyro.conf.Positional[str]
    """A folder with its subfolders, or a text file with one strip per line; a path or a URI (s3://, gs://)."""
    out: str = "runs/bulk"
    """Folder or URI. Interrupted or killed runs resume where they stopped."""
    model: Path | None = None
    """An ONNX file or a folder <name>/<version>/model.onnx; default: STEEL_MODEL."""
    profile: str = "inspection"
    """The operating point."""
    threshold: str | None = None
    """Pixel thresholds instead of the profile's: one value, or one per class, as for /predict."""
    min_area: str | None = None
    """Minimum areas instead of the profile's: one value, or one per class, as for /predict."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: STEEL_BITS, else all 16."""
    pad: PadOption = None
    """Whether an image smaller than the model's tile is padded by mirroring, or refused; default: as the
    model says."""
    workers: int | None = None
    """Worker processes, each with its own model on one processor or GPU; default: as many as there are."""
    address: str | None = None
    """Ray cluster, HOST:6379; default: this machine alone."""
    strips_per_part: int = 256
    """Rows of a Parquet file: the most that a killed worker loses."""
    restart: bool = False
    """Remove the results of an earlier run from the output folder and start over."""
