"""Options that predict and watch share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from steel_bulk.options import BitsOption, PadOption


@dataclass(frozen=True)
class Common:
    """Options of both commands."""

    folder: tyro.conf.Positional[Path]
    """Folder with the images; subfolders are searched too."""
    out: Path = Path("runs/predictions")
    """Folder for predictions.jsonl, one line per file, and the other formats. An interrupted run resumes
    where it stopped; one of another folder, profile, model, bits or pad is not mixed with it."""
    restart: bool = False
    """Remove the answers of an earlier run from the output folder and start over."""
    server: str | None = None
    """URL of a running service, http://host:8000; default: run the model in this process."""
    ca: Path | None = None
    """PEM file with the certificate that signed the server's, or with its own if it is self-signed."""
    model: Path | None = None
    """Without a server: an ONNX file or a folder <name>/<version>/model.onnx; default: STEEL_MODEL."""
    profile: str = "inspection"
    """The operating point."""
    bits: BitsOption = None
    """Bits that the camera uses of each pixel of a 16-bit file; default: as the service is configured."""
    pad: PadOption = None
    """Whether an image smaller than the model's tile is padded by mirroring, or refused; default: as the
    model says."""
    api_key: str | None = None
    """API key, if the service needs one."""
    concurrency: Annotated[int, tyro.conf.arg(aliases=("--at-once",))] = 8
    """Most files that are sent at the same time."""
    timeout: float = 60.0
    """Seconds for a file, attempts and pauses included."""
