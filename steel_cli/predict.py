"""``steel predict`` and ``steel watch``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from service.images.suffixes import IMAGE_SUFFIXES
from steel_cli.extras import requires
from steel_cli.journal import Journal, read_journal
from steel_cli.label_studio import write_label_studio
from steel_cli.pictures import write_picture
from steel_cli.writers import write_coco, write_kaggle
from steel_client.client import AsyncSteelClient, Options
from steel_client.errors import SteelError
from steel_client.files import Outcome

JOURNAL = "predictions.jsonl"
PICTURES = "pictures"

Format = Literal["kaggle", "coco", "label-studio", "pictures"]


@dataclass(frozen=True)
class Common:
    """Options of both commands."""

    folder: tyro.conf.Positional[Path]
    """Folder with the images; subfolders are searched too."""
    out: Path = Path("runs/predictions")
    """Folder for predictions.jsonl, one line per file, and the other formats. An interrupted run resumes
    where it stopped."""
    server: str | None = None
    """URL of a running service, http://host:8000; default: run the model in this process."""
    model: Path | None = None
    """Without a server: an ONNX file or a folder <name>/<version>/model.onnx; default: STEEL_MODEL."""
    profile: str = "inspection"
    """The operating point."""
    api_key: str | None = None
    """API key, if the service needs one."""
    concurrency: Annotated[int, tyro.conf.arg(aliases=("--at-once",))] = 8
    """Most files that are sent at the same time."""
    timeout: float = 60.0
    """Seconds for a file, attempts and pauses included."""


@dataclass(frozen=True)
class PredictConfig(Common):
    """Find the defects on every image of a folder."""

    write: tuple[Format, ...] = ()
    """Formats besides predictions.jsonl: kaggle (submission.csv), coco (coco.json), label-studio
    (label_studio.json, and label_studio.xml for its interface), pictures (coloured masks)."""
    label_studio_images: str = "/data/local-files/?d="
    """Prefix of a file's path in the URL from which Label Studio loads the image."""


@dataclass(frozen=True)
class WatchConfig(Common):
    """Find the defects on images as a camera writes them into a folder, until stopped with Ctrl+C."""

    pictures: bool = False
    """Draw the masks on each image that has a defect."""
    interval: float = 0.5
    """Seconds between two scans of the folder. A file is complete once its size is the same in two scans."""


def predict(config: PredictConfig) -> int:
    """Predict a folder.

    Returns:
        The exit code: 0 if every file was answered, 1 if some were refused.

    Raises:
        SteelError: if the folder holds no image, or the server or the model is not there.
    """
    names = sorted(_find_images(config.folder))
    if not names:
        raise SteelError(f"{config.folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    path = config.out / JOURNAL
    with Journal(path) as journal:
        asyncio.run(_predict(config, journal, names))
    if "kaggle" in config.write:
        write_kaggle(path, config.out / "submission.csv")
    if "coco" in config.write:
        write_coco(path, config.out / "coco.json")
    if "label-studio" in config.write:
        write_label_studio(path, config.out, config.label_studio_images)
    refused, defects = _count(path)
    print(f"{path}: {len(names)} files, {defects} with a defect, {refused} refused")
    return 1 if refused else 0


def watch(config: WatchConfig) -> int:
    """Predict files as they arrive, until interrupted; return 0.

    Raises:
        SteelError: if the folder, the server or the model is not there.
    """
    if not config.folder.is_dir():
        raise SteelError(f"there is no folder {config.folder}")
    with Journal(config.out / JOURNAL) as journal, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(config, journal))
    return 0


async def _predict(config: PredictConfig, journal: Journal, names: list[str]) -> None:
    remaining = [name for name in names if not journal.holds(name)]
    pictures = config.out / PICTURES if "pictures" in config.write else None
    done = len(names) - len(remaining)
    with tqdm(total=len(names), initial=done, unit="strip", dynamic_ncols=True) as bar:
        async with _open_client(config) as client:
            await client.check()
            paths = _paths(config, remaining)
            async for outcome in client.predict_many(paths, concurrency=config.concurrency):
                _save(config, journal, outcome, pictures)
                bar.update()


async def _watch(config: WatchConfig, journal: Journal) -> None:
    pictures = config.out / PICTURES if config.pictures else None
    async with _open_client(config) as client:
        await client.check()
        sizes: dict[str, int] = {}
        while True:
            new = {
                name: _size(config.folder / name)
                for name in _find_images(config.folder)
                if not journal.holds(name)
            }
            complete = [name for name, size in new.items() if size > 0 and sizes.get(name) == size]
            sizes = new
            paths = _paths(config, complete)
            async for outcome in client.predict_many(paths, concurrency=config.concurrency):
                _save(config, journal, outcome, pictures)
                print(_summarize(outcome), flush=True)
            await asyncio.sleep(config.interval)


def _find_images(folder: Path) -> Iterator[str]:
    """Yield the images in a folder and its subfolders, as paths relative to it."""
    for path in folder.rglob("*"):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield path.relative_to(folder).as_posix()


def _paths(config: Common, names: Iterable[str]) -> Iterator[Path]:
    return (config.folder / name for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # removed since the folder was listed


@contextlib.asynccontextmanager
async def _open_client(config: Common) -> AsyncIterator[AsyncSteelClient]:
    """Connect to the server, or run the application in this process."""
    options: Options = {
        "query": {"profile": config.profile},
        "timeout": config.timeout,
        "api_key": config.api_key,
    }
    if config.server is not None:
        async with AsyncSteelClient(config.server, **options) as client:
            yield client
        return
    # Imported here only: with a server, neither onnxruntime nor a model is needed.
    with requires("client,cpu", "; or name a server with --server"):
        from service.observability.logs import configure_logs
        from steel_cli.in_process import run_application

    configure_logs("error")
    async with (
        run_application(config.model) as transport,
        AsyncSteelClient("http://in-process", transport=transport, **options) as client,
    ):
        yield client


def _save(config: Common, journal: Journal, outcome: Outcome, pictures: Path | None) -> None:
    """Save a file's outcome: the picture first, so that a line in the journal means that both are there."""
    name = outcome.path.relative_to(config.folder).as_posix()
    if outcome.error is not None and outcome.error.transient:
        raise outcome.error  # the service is away; a file without a line is sent again when the run resumes
    if pictures is not None and outcome.image is not None and outcome.image.defect:
        write_picture(outcome.path, outcome.image, (pictures / name).with_suffix(".png"))
    journal.add(name, outcome)


def _summarize(outcome: Outcome) -> str:
    if outcome.image is None:
        return f"{outcome.path.name}: refused: {outcome.error}"
    names = [f"{found.result.name} {found.result.probability:.0%}" for found in outcome.image.present]
    return f"{outcome.path.name}: {', '.join(names) or 'clean'}"


def _count(path: Path) -> tuple[int, int]:
    """Return the number of refused files, and of files with a defect."""
    lines = list(read_journal(path))
    return sum("error" in line for line in lines), sum(bool(line.get("defect")) for line in lines)
