"""``steel bulk``: list once, answer what has no answer yet, count."""

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError
from tqdm import tqdm

from service.api.schemas import ProfileUsed, SegmentQuery, operating_point
from service.errors import DeviceError, InvalidParameterError, ModelFileError
from service.images.suffixes import IMAGE_SUFFIXES
from service.model.metadata import Profile
from service.model.providers import CPU
from service.model.repository import find_model
from service.model.session import KnownDevice, open_session
from service.settings import Settings
from steel_bulk.attempts import Tries
from steel_bulk.cluster import answer_parts
from steel_bulk.config import BulkConfig
from steel_bulk.listing import LISTING, Source, find_source, list_names, list_text, write_listing
from steel_bulk.locations import Place, open_place
from steel_bulk.manifest import MANIFEST, Manifest, PinnedModel, Terms, read_manifest, write_manifest
from steel_bulk.parts import STRIPS, Report, finished_parts, part_number
from steel_bulk.worker import Work, pack_model
from steel_client.errors import SteelError


def bulk(config: BulkConfig) -> int:
    """Answer an archive.

    Returns:
        The exit code: 0 if every strip has its answer, 1 if some were refused.

    Raises:
        SteelError: if the source, the model or the cluster is not there, a strip cannot be read for now, or
            the run was begun on other terms.
    """
    if config.strips_per_part < 1 or (config.workers is not None and config.workers < 1):
        raise SteelError("--strips-per-part and --workers are at least 1")
    try:
        return _bulk(config)
    except (OSError, pa.ArrowException) as error:
        raise SteelError(f"a place cannot be read or written: {error}") from error


def _bulk(config: BulkConfig) -> int:
    source, out = find_source(config.source), open_place(config.out)
    model = _load_model(config)
    terms = _terms(config, source, model)
    if config.restart:
        _clear(out)
    manifest = read_manifest(out) or _begin(source, out, terms)
    manifest.check(terms, config.out)
    Tries(out).clear()
    done = {report.part: report for report in finished_parts(out.below(STRIPS), manifest)}
    missing = [part for part in range(manifest.parts) if part not in done]
    begun = sum(report.strips for report in done.values())
    with tqdm(total=manifest.strips, initial=begun, unit="strip", dynamic_ncols=True) as bar:
        if missing:
            work = Work(
                root=source.root,
                out=config.out,
                manifest=manifest,
                point=model.point,
                device=model.device,
                model_name=model.path.name,
                model=pack_model(model.path),
            )
            for report in answer_parts(work, missing, workers=config.workers, address=config.address):
                done[report.part] = report
                bar.update(report.strips)
    return _count(out.at(STRIPS), done.values(), manifest)


@dataclass(frozen=True)
class _Model:
    path: Path
    pinned: PinnedModel
    device: KnownDevice
    point: Profile


def _load_model(config: BulkConfig) -> _Model:
    """Prove the model here, so that what is wrong with it is said before anything is started."""
    settings = Settings() if config.model is None else Settings(model=config.model)
    try:
        query = SegmentQuery(profile=config.profile, threshold=config.threshold, min_area=config.min_area)
        path = find_model(settings.model)
        session = open_session(path, device=settings.device, threads=1)
        point = operating_point(session.metadata, query)
    except (ModelFileError, DeviceError) as error:
        raise SteelError(f"the model cannot be used: {error}") from error
    except ValidationError as error:
        raise SteelError("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())) from error
    except InvalidParameterError as error:
        raise SteelError(error.detail) from error
    # What auto comes to is settled here, for all workers and for those that go on later.
    device = settings.device
    if device == "auto":
        device = "cpu" if session.provider == CPU else "cuda"
    metadata = session.metadata
    pinned = PinnedModel(name=metadata.name, version=metadata.version, sha256=session.sha256, device=device)
    return _Model(path, pinned, device, point)


def _terms(config: BulkConfig, source: Source, model: _Model) -> Terms:
    settings = Settings()
    text = None if source.listed_in is None else list_text(source)
    return Terms(
        source=config.source,
        list_sha256=None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        strips_per_part=config.strips_per_part,
        model=model.pinned,
        profile=ProfileUsed.model_validate(model.point, from_attributes=True),
        max_file_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
    )


def _begin(source: Source, out: Place, terms: Terms) -> Manifest:
    """Write the listing, then the manifest: who finds this one finds the other whole."""
    if any(part_number(name) is not None for name in out.below(STRIPS).names()):
        raise SteelError(f"{out.path} holds parts of a run without its {MANIFEST}; --restart removes them")
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    listed = write_listing(list_names(source), out, terms.strips_per_part)
    if not listed.strips:
        out.remove(LISTING)
        raise SteelError(f"{terms.source} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    manifest = Manifest(terms=terms, strips=listed.strips, listing_sha256=listed.sha256, created=created)
    write_manifest(out, manifest)
    return manifest


def _clear(out: Place) -> None:
    """Remove a run, its manifest last: until then it can be gone on with."""
    strips = out.below(STRIPS)
    for name in strips.names():
        if part_number(name) is not None:
            strips.remove(name)
    out.remove(LISTING)
    out.remove(MANIFEST)


def _count(where: str, reports: Iterable[Report], manifest: Manifest) -> int:
    parts = list(reports)
    strips, refused = sum(one.strips for one in parts), sum(one.refused for one in parts)
    if strips != manifest.strips:
        raise SteelError(f"{where} has {strips} rows, {manifest.strips} strips were listed")
    defects = sum(one.defects for one in parts)
    print(f"{where}: {strips} strips, {defects} with a defect, {refused} refused")
    return 1 if refused else 0
