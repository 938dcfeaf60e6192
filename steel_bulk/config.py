"""What ``steel bulk`` may be told; imports nothing of the extra ``bulk``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class BulkConfig:
    """Find the defects on every strip of an archive; answers go into Parquet."""

    source: tyro.conf.Positional[str]
    """A folder, with those below it, or a text file that names a strip a line; a path or a URI (s3://, gs://)."""
    out: str = "runs/bulk"
    """Folder or URI. Interrupted or killed and started again, the command goes on where it was."""
    model: Path | None = None
    """An ONNX file or a folder <name>/<version>/model.onnx; else what STEEL_MODEL says."""
    profile: str = "inspection"
    """The operating point."""
    threshold: str | None = None
    """Instead of the profile's pixel thresholds: one value or four, as for /predict."""
    min_area: str | None = None
    """Instead of the profile's minimum areas: one value or four, as for /predict."""
    workers: int | None = None
    """Processes that answer, each with its own model on one processor or GPU; else as many as there are."""
    address: str | None = None
    """Of a Ray cluster, HOST:6379; without it, this machine alone."""
    strips_per_part: int = 256
    """Rows of a Parquet file: what a killed worker has to do again at most."""
    restart: bool = False
    """Remove what lies in the output folder from an earlier run and begin anew."""
