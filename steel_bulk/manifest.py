"""What a run was begun with, so that it is gone on with by the same: ``manifest.json``."""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.api.schemas import ProfileUsed
from steel_bulk.locations import Place
from steel_client.errors import SteelError

MANIFEST = "manifest.json"


class PinnedModel(BaseModel):
    """The model that answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    sha256: str
    device: str


class Terms(BaseModel):
    """Everything that an answer depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """As the command line named it."""
    list_sha256: str | None
    """If it is a list, of its text."""
    strips_per_part: int
    model: PinnedModel
    profile: ProfileUsed
    """Overrides included."""
    max_file_bytes: int
    max_pixels: int


class Manifest(BaseModel):
    """The terms of a run and the strips that it is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    terms: Terms
    strips: int
    listing_sha256: str
    created: str
    """Time of the listing, ISO 8601."""

    @property
    def parts(self) -> int:
        """Parquet files that the run comes to."""
        return -(-self.strips // self.terms.strips_per_part)

    @property
    def run(self) -> str:
        """Names the run in its parts, so that none of another counts."""
        text = self.terms.model_dump_json() + self.listing_sha256
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def strips_of(self, part: int) -> int:
        """Return how many strips a part holds."""
        return min(self.terms.strips_per_part, self.strips - part * self.terms.strips_per_part)

    def check(self, wanted: Terms, out: str) -> None:
        """Compare with what is wanted now.

        Raises:
            SteelError: naming the first thing that differs.
        """
        for name in Terms.model_fields:
            then, now = getattr(self.terms, name), getattr(wanted, name)
            if then != now:
                raise SteelError(
                    f"{out} was begun with {name} = {_short(then)}, now it is {_short(now)}; take the same, "
                    "another --out, or --restart, which removes what is there"
                )


def read_manifest(out: Place) -> Manifest | None:
    """Read the manifest of a run; None if none was begun.

    Raises:
        SteelError: if it is not understood.
    """
    data = out.read(MANIFEST)
    if data is None:
        return None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise SteelError(f"{out.at(MANIFEST)} is not understood; --restart begins anew: {error}") from error


def write_manifest(out: Place, manifest: Manifest) -> None:
    """Write the manifest, which begins the run."""
    out.write(MANIFEST, manifest.model_dump_json(indent=2).encode())


def _short(value: object) -> str:
    return value.model_dump_json() if isinstance(value, BaseModel) else repr(value)
