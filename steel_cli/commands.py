"""``steel predict`` and ``steel watch``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from PIL import Image as PillowImage
from tqdm import tqdm

from service.images.suffixes import IMAGE_SUFFIXES
from service.masks.overlay import draw_overlay
from steel_cli.journal import Journal, read_journal
from steel_cli.label_studio import write_label_studio
from steel_cli.writers import write_coco, write_kaggle
from steel_client.client import AsyncSteelClient, Options
from steel_client.errors import SteelError
from steel_client.files import Outcome
from steel_client.results import Image

JOURNAL = "predictions.jsonl"
PICTURES = "pictures"

Format = Literal["kaggle", "coco", "label-studio", "pictures"]


@dataclass(frozen=True)
class Common:
    """What both commands may be told."""

    folder: tyro.conf.Positional[Path]
    """Where the images are, in folders below it too."""
    out: Path = Path("runs/predictions")
    """Folder for predictions.jsonl, a line per file, and what else is asked for. Interrupted and started
    again, the command goes on where it was."""
    server: str | None = None
    """Of a running service, http://host:8000; without it the model runs in this process."""
    model: Path | None = None
    """Without a server: an ONNX file or a folder <name>/<version>/model.onnx; else what STEEL_MODEL says."""
    profile: str = "inspection"
    """The operating point."""
    api_key: str | None = None
    """Where the service wants one."""
    at_once: int = 8
    """Files that are under way at the same time at most."""
    timeout: float = 60.0
    """Seconds for a file, tries and pauses included."""


@dataclass(frozen=True)
class PredictConfig(Common):
    """Find the defects on every image of a folder."""

    write: tuple[Format, ...] = ()
    """Besides predictions.jsonl: kaggle (submission.csv), coco (coco.json), label-studio
    (label_studio.json, and label_studio.xml for its interface), pictures (coloured masks)."""
    label_studio_images: str = "/data/local-files/?d="
    """What stands before a file's path in the address by which Label Studio gets it."""


@dataclass(frozen=True)
class WatchConfig(Common):
    """Find the defects on images as a camera drops them into a folder, until stopped with Ctrl+C."""

    pictures: bool = False
    """Draw the masks on each image that has a defect."""
    interval: float = 0.5
    """Seconds between two looks at the folder. A file counts as written once it did not grow in between."""


def predict(config: PredictConfig) -> int:
    """Predict a folder.

    Returns:
        The exit code: 0 if every file has its answer, 1 if some were refused.

    Raises:
        SteelError: if the folder, the server or the model is not there.
    """
    names = sorted(_images(config.folder))
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
    refused, defects = _counts(path)
    print(f"{path}: {len(names)} files, {defects} with a defect, {refused} refused")
    return 1 if refused else 0


def watch(config: WatchConfig) -> int:
    """Predict files as they come, until interrupted; always 0.

    Raises:
        SteelError: if the folder, the server or the model is not there.
    """
    if not config.folder.is_dir():
        raise SteelError(f"there is no folder {config.folder}")
    with Journal(config.out / JOURNAL) as journal, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(config, journal))
    return 0


async def _predict(config: PredictConfig, journal: Journal, names: list[str]) -> None:
    todo = [name for name in names if not journal.holds(name)]
    pictures = config.out / PICTURES if "pictures" in config.write else None
    with tqdm(total=len(names), initial=len(names) - len(todo), unit="strip", dynamic_ncols=True) as bar:
        async with _client(config) as client:
            await client.check()
            async for outcome in client.predict_many(_paths(config, todo), at_once=config.at_once):
                _keep(config, journal, outcome, pictures)
                bar.update()


async def _watch(config: WatchConfig, journal: Journal) -> None:
    pictures = config.out / PICTURES if config.pictures else None
    async with _client(config) as client:
        await client.check()
        sizes: dict[str, int] = {}
        while True:
            waiting = {name: _size(config.folder / name) for name in _images(config.folder)}
            waiting = {name: size for name, size in waiting.items() if not journal.holds(name)}
            ready = [name for name, size in waiting.items() if size > 0 and sizes.get(name) == size]
            sizes = waiting
            async for outcome in client.predict_many(_paths(config, ready), at_once=config.at_once):
                _keep(config, journal, outcome, pictures)
                print(_verdict(outcome), flush=True)
            await asyncio.sleep(config.interval)


def _images(folder: Path) -> Iterator[str]:
    """Name the images in a folder and those below it, by their paths from it."""
    for path in folder.rglob("*"):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield path.relative_to(folder).as_posix()


def _paths(config: Common, names: Iterable[str]) -> Iterator[Path]:
    return (config.folder / name for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it went between two looks


@contextlib.asynccontextmanager
async def _client(config: Common) -> AsyncIterator[AsyncSteelClient]:
    """Reach the server, or run the application in this process."""
    options: Options = {
        "query": {"profile": config.profile},
        "timeout": config.timeout,
        "api_key": config.api_key,
    }
    if config.server is not None:
        async with AsyncSteelClient(config.server, **options) as client:
            yield client
        return
    # Only here: who has a server needs neither onnxruntime nor a model.
    from service.observability.logs import configure_logs
    from steel_cli.in_process import application

    configure_logs("error")
    async with (
        application(config.model) as transport,
        AsyncSteelClient("http://in-process", transport=transport, **options) as client,
    ):
        yield client


def _keep(config: Common, journal: Journal, outcome: Outcome, pictures: Path | None) -> None:
    """Keep what became of a file: first the picture, so that a line in the journal means both are there."""
    name = outcome.path.relative_to(config.folder).as_posix()
    if outcome.error is not None and outcome.error.passing:
        raise outcome.error  # the service is away: this file's turn comes again
    if pictures is not None and outcome.image is not None and outcome.image.defect:
        _draw(outcome.path, outcome.image, (pictures / name).with_suffix(".png"))
    journal.add(name, outcome)


def _draw(path: Path, answer: Image, target: Path) -> None:
    with PillowImage.open(path) as image:
        strip = np.asarray(image.convert("L"))
    masks = {found.result.class_id: found.mask.T for found in answer.present}
    captions = {
        found.result.class_id: f"{found.result.class_id} {found.result.name} {found.result.probability:.0%}"
        for found in answer.present
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(draw_overlay(strip, masks, captions))


def _verdict(outcome: Outcome) -> str:
    if outcome.image is None:
        return f"{outcome.path.name}: refused: {outcome.error}"
    names = [f"{found.result.name} {found.result.probability:.0%}" for found in outcome.image.present]
    return f"{outcome.path.name}: {', '.join(names) or 'clean'}"


def _counts(path: Path) -> tuple[int, int]:
    """Count files that were refused, and those with a defect."""
    lines = list(read_journal(path))
    return sum("error" in line for line in lines), sum(bool(line.get("defect")) for line in lines)
