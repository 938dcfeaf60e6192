"""``steel bulk``: list the strips once, predict the missing parts, count."""

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError
from tqdm import tqdm

from service.api.parameters import OperatingPointQuery, operating_point
from service.api.schemas import ProfileUsed
from service.errors import DeviceError, InvalidParameterError, ModelFileError, counted, explain_os_error
from service.files import locked_folder
from service.images.suffixes import IMAGE_SUFFIXES
from service.model.loading import open_session
from service.model.metadata import DefectClass, Profile
from service.model.providers import CPU
from service.model.repository import find_model
from service.model.session import KnownDevice
from steel_bulk.attempts import Attempts
from steel_bulk.cluster import predict_parts
from steel_bulk.config import BulkConfig
from steel_bulk.listing import LISTING, Source, find_source, list_names, list_text, write_listing
from steel_bulk.locations import Location, open_location
from steel_bulk.manifest import MANIFEST, Manifest, PinnedModel, RunSpec, read_manifest, write_manifest
from steel_bulk.names import escape
from steel_bulk.out_folder import check_out
from steel_bulk.parts import STRIPS, PartReport, finished_parts, part_number
from steel_bulk.settings import local_settings
from steel_bulk.worker import WorkerConfig, pack_model
from steel_client.errors import ConfigurationError, SteelError


def bulk(config: BulkConfig) -> int:
    """Predict an archive.

    Returns:
        The exit code: 0 if every strip was answered, 1 if some were refused.

    Raises:
        SteelError: if the source, the model or the cluster is not there, a strip cannot be read after all
            retries, or the run was started with another specification.
    """
    if config.strips_per_part < 1 or (config.workers is not None and config.workers < 1):
        raise SteelError("expected --strips-per-part and --workers of at least 1")
    if escape(config.source) != config.source or escape(config.out) != config.out:
        raise ConfigurationError("expected a source and an --out whose names are UTF-8")
    try:
        return _run(config)
    except (OSError, pa.ArrowException) as error:
        reason = explain_os_error(error) if isinstance(error, OSError) else str(error)
        raise SteelError(f"a file or folder cannot be read or written: {reason}") from error


def _run(config: BulkConfig) -> int:
    source, out = find_source(config.source), open_location(config.out)
    if out.local:
        check_out(Path(config.out))
    model = _load_model(config)
    spec = _make_spec(config, source, model)
    if not out.local:  # a bucket has no locks; two runs there write the same rows
        return _predict(config, source, out, model, spec)
    folder = Path(out.path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(folder):
            return _predict(config, source, out, model, spec)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"another command writes to {config.out}; wait for its end, or use another --out"
        ) from error


def _predict(config: BulkConfig, source: Source, out: Location, model: "_Model", spec: RunSpec) -> int:
    if config.restart:
        _remove_run(out)
    manifest = read_manifest(out) or _start(source, out, spec)
    manifest.check(spec, config.out)
    Attempts(out).clear()
    done = {report.part: report for report in finished_parts(out.subfolder(STRIPS), manifest)}
    missing = [part for part in range(manifest.parts) if part not in done]
    finished = sum(report.strips for report in done.values())
    with tqdm(total=manifest.strips, initial=finished, unit="strip", dynamic_ncols=True) as bar:
        if missing:
            worker = WorkerConfig(
                root=source.root,
                out=config.out,
                manifest=manifest,
                point=model.point,
                device=model.device,
                model_name=model.path.name,
                model=pack_model(model.path),
            )
            for report in predict_parts(worker, missing, workers=config.workers, address=config.address):
                done[report.part] = report
                bar.update(report.strips)
    return _count(out.path_of(STRIPS), done.values(), manifest)


@dataclass(frozen=True)
class _Model:
    path: Path
    pinned: PinnedModel
    device: KnownDevice
    point: Profile
    pad: bool
    classes: tuple[DefectClass, ...]


def _load_model(config: BulkConfig) -> _Model:
    """Load the model in this process first, so that its errors come before any worker starts."""
    settings = local_settings(config.model)
    try:
        query = OperatingPointQuery(
            profile=config.profile,
            threshold=config.threshold,
            min_area=config.min_area,
            bits=config.bits or settings.bits,
            pad=None if config.pad is None else config.pad == "true",
        )
        path = find_model(settings.model)
        session = open_session(path, device=settings.device, threads=1)
        point = operating_point(session.metadata, query, settings.profile)
    except (ModelFileError, DeviceError) as error:
        raise SteelError(f"the model cannot be used: {error}") from error
    except ValidationError as error:
        raise SteelError("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())) from error
    except InvalidParameterError as error:
        raise SteelError(error.detail) from error
    # Resolve "auto" here, for all workers and for runs that resume later.
    device = settings.device
    if device == "auto":
        device = "cpu" if session.provider == CPU else "cuda"
    metadata = session.metadata
    pinned = PinnedModel(name=metadata.name, version=metadata.version, sha256=session.sha256, device=device)
    pad = metadata.pad if query.pad is None else query.pad
    return _Model(path, pinned, device, point, pad, metadata.classes)


def _make_spec(config: BulkConfig, source: Source, model: _Model) -> RunSpec:
    settings = local_settings(config.model)
    text = None if source.listed_in is None else list_text(source)
    return RunSpec(
        source=config.source,
        list_sha256=None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        strips_per_part=config.strips_per_part,
        model=model.pinned,
        profile=ProfileUsed.model_validate(model.point, from_attributes=True),
        max_file_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        bits=config.bits or settings.bits,
        health=settings.health,
        pad=model.pad,
        classes=model.classes,
    )


def _start(source: Source, out: Location, spec: RunSpec) -> Manifest:
    """Write the listing, then the manifest: where there is a manifest, the listing is whole."""
    if any(part_number(name) is not None for name in out.subfolder(STRIPS).names()):
        raise SteelError(f"{out.path} holds parts of a run without its {MANIFEST}; --restart removes them")
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    listed = write_listing(list_names(source), out, spec.strips_per_part)
    if not listed.strips:
        out.remove(LISTING)
        raise SteelError(f"{spec.source} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    manifest = Manifest(terms=spec, strips=listed.strips, listing_sha256=listed.sha256, created=created)
    write_manifest(out, manifest)
    return manifest


def _remove_run(out: Location) -> None:
    """Remove a run, its manifest last: until then the run can resume."""
    strips = out.subfolder(STRIPS)
    for name in strips.names():
        if part_number(name) is not None:
            strips.remove(name)
    out.remove(LISTING)
    out.remove(MANIFEST)


def _count(path: str, reports: Iterable[PartReport], manifest: Manifest) -> int:
    """Print the counts of a run and return its exit code."""
    parts = list(reports)
    strips = sum(part.strips for part in parts)
    if strips != manifest.strips:
        raise SteelError(f"expected {manifest.strips} rows in {path}, as many as listed strips, got {strips}")
    refused, blind = sum(part.refused for part in parts), sum(part.blind for part in parts)
    print(
        f"{path}: {counted(strips, 'strip')}, {sum(part.defects for part in parts)} with a defect, "
        f"{sum(part.suspects for part in parts)} suspect, {blind} not inspected, {refused} refused"
    )
    return 1 if refused or blind else 0
