"""Specification of a run, ``manifest.json``: a run resumes only with the one that it was started with."""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.api.schemas import ProfileUsed
from service.geometry import BitDepth
from service.model.metadata import DefectClass
from steel_bulk.locations import Location
from steel_client.errors import SteelError

MANIFEST = "manifest.json"


class PinnedModel(BaseModel):
    """The model of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    sha256: str
    device: str


class RunSpec(BaseModel):
    """Everything that an answer depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """As on the command line."""
    list_sha256: str | None
    """Of the list's text; None for a folder."""
    strips_per_part: int
    model: PinnedModel
    profile: ProfileUsed
    """Overrides included."""
    max_file_bytes: int
    max_pixels: int
    bits: BitDepth | None = None
    """Of a pixel in 16-bit files; runs of earlier versions did not know it."""
    health: Literal["on", "off"] | None = None
    """Whether blind strips are left uninspected; runs of earlier versions did not know it."""
    pad: bool | None = None
    """Whether images smaller than a tile are padded; runs of earlier versions refused all but strips."""
    classes: tuple[DefectClass, ...] | None = None
    """Of the model; runs of earlier versions did not list them."""


class Manifest(BaseModel):
    """The specification of a run and its strips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    spec: RunSpec = Field(alias="terms")
    """``terms`` in the file: its format stays."""
    strips: int
    listing_sha256: str
    created: str
    """Time of the listing, ISO 8601."""

    @property
    def parts(self) -> int:
        """Number of Parquet files of the run."""
        return -(-self.strips // self.spec.strips_per_part)

    @property
    def run(self) -> str:
        """Id of the run in its parts, so that a part of another run never counts."""
        # Runs of earlier versions, which did not know these, keep their id.
        exclude = {name for name in ("bits", "health", "pad", "classes") if getattr(self.spec, name) is None}
        text = self.spec.model_dump_json(exclude=exclude) + self.listing_sha256
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def strips_of(self, part: int) -> int:
        """Return the number of strips of a part."""
        return min(self.spec.strips_per_part, self.strips - part * self.spec.strips_per_part)

    def check(self, spec: RunSpec, out: str) -> None:
        """Check that a run in ``out`` may resume with a specification.

        Raises:
            SteelError: naming the first field that differs.
        """
        for name in RunSpec.model_fields:
            before, now = getattr(self.spec, name), getattr(spec, name)
            if before != now:
                raise SteelError(
                    f"{out} was started with {name} = {_format(before)}, got {_format(now)}; use the same, "
                    "another --out, or --restart, which removes what is there"
                )


def read_manifest(out: Location) -> Manifest | None:
    """Read the manifest of a run; None if none was started.

    Raises:
        SteelError: if it cannot be parsed.
    """
    data = out.read(MANIFEST)
    if data is None:
        return None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise SteelError(
            f"{out.path_of(MANIFEST)} cannot be parsed; --restart starts over: {error}"
        ) from error


def write_manifest(out: Location, manifest: Manifest) -> None:
    """Write the manifest, which starts the run."""
    out.write(MANIFEST, manifest.model_dump_json(indent=2, by_alias=True).encode())


def _format(value: object) -> str:
    return value.model_dump_json() if isinstance(value, BaseModel) else repr(value)
