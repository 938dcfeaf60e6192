"""``steel predict``: the images of a folder."""

import asyncio
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from service.errors import counted
from service.images.suffixes import IMAGE_SUFFIXES
from steel_cli import interrupts
from steel_cli.answer import OF_ONE_STRIP, Answer, Strip
from steel_cli.connect import check_options, check_profile, open_client
from steel_cli.images import check_folder, find_images, is_image
from steel_cli.journal import JOURNAL, Journal, read_journal
from steel_cli.label_studio import write_label_studio
from steel_cli.options import Common
from steel_cli.outputs import Outputs
from steel_cli.recall import recall
from steel_cli.run_file import RunSpec
from steel_cli.waiting import WaitingNotice
from steel_cli.writers import Classes, check_kaggle, write_coco, write_kaggle
from steel_client.client import AsyncSteelClient
from steel_client.errors import ConfigurationError, SteelError, UnreadableFileError
from steel_client.files import read_file, run_concurrently

Format = Literal["kaggle", "coco", "label-studio", "pictures", "strips"]

_MOST_FAILURES = 16
"""In a row; then the service is the reason."""


class Counts(NamedTuple):
    """Numbers of files."""

    defects: int
    suspects: int
    blind: int
    """Answered, but not inspected."""
    refused: int


@dataclass(frozen=True)
class PredictConfig(Common):
    """Find the defects on every image of a folder, or on one image."""

    write: tuple[Format, ...] = ()
    """Formats besides predictions.jsonl: kaggle (submission.csv; of Kaggle's classes and size only), coco
    (coco.json), label-studio (label_studio.json, and label_studio.xml for its interface), pictures (coloured
    masks), strips (what the service read, as grey PNGs: labelling tools turn some files and cannot show
    others; coco and label-studio then name these)."""
    label_studio_images: str = "/data/local-files/?d="
    """Prefix of a file's path in the URL from which Label Studio loads the image."""


def predict(config: PredictConfig) -> int:
    """Predict a folder.

    Returns:
        The exit code: 0 if every strip was inspected, 1 if some were refused or do not look like steel.

    Raises:
        SteelError: if the folder holds no image, the server or the model is not there, a parameter is wrong,
            or files could not be answered.
    """
    check_options(config)
    if config.label_studio_images != PredictConfig.label_studio_images and "label-studio" not in config.write:
        raise ConfigurationError("--label-studio-images: expected label-studio behind --write, got none")
    folder, names = list_images(config.folder, config.out)
    outputs = Outputs(config.out, config.write, config.bits, _say)
    answered_before, classes = interrupts.run(_predict(config, folder.resolve(), names, outputs))
    path = config.out / JOURNAL
    if "coco" in config.write:
        write_coco(path, config.out / "coco.json", classes, outputs.label_name)
    if "label-studio" in config.write:
        write_label_studio(path, config.out, classes, config.label_studio_images, outputs.label_name)
    if "kaggle" in config.write:
        write_kaggle(path, config.out / "submission.csv")
    outputs.say_otherwise()
    counts = _count(path, names)
    print(
        f"{path}: {counted(len(names), 'file')}, {counts.defects} with a defect, {counts.suspects} suspect, "
        f"{counts.blind} not inspected, {counts.refused} refused"
        + (f"; {answered_before} answered before" if answered_before else "")
    )
    return 1 if counts.refused or counts.blind else 0


def list_images(path: Path, out: Path) -> tuple[Path, list[str]]:
    """Return a folder and the names of its images, or of one image and its folder.

    Raises:
        ConfigurationError: if there is no image.
    """
    if path.is_file():
        if not is_image(path.name):
            raise ConfigurationError(
                f"expected a folder or an image, got the file {str(path)!r}; unpack archives first"
            )
        return path.parent, [path.name]
    check_folder(path)

    def refuse(error: OSError) -> None:
        raise ConfigurationError(f"a folder cannot be listed: {error}") from error

    names = list(find_images(path, out, refuse))
    if not names:
        raise ConfigurationError(f"{str(path)!r} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return path, names


def _say(message: str) -> None:
    """Print a message above the progress bar."""
    tqdm.write(message, file=sys.stderr)


async def _predict(
    config: PredictConfig, folder: Path, names: list[str], outputs: Outputs
) -> tuple[int, Classes]:
    """Predict; return the number of files that were answered before, and the model's classes."""
    notice = WaitingNotice(_say, f", at most {config.timeout:g} s (--timeout)")
    async with open_client(config, on_retry=notice.note_retry) as client:
        model = await client.model()
        notice.note_answer()
        check_profile(config, model)
        if "kaggle" in config.write:
            check_kaggle(model)
        classes = [one.model_dump() for one in model.classes]
        spec = RunSpec(
            command="predict",
            folder=str(folder),
            profile=config.profile,
            bits=config.bits,
            pad=config.pad,
            classes=classes,
            model={"name": model.name, "version": model.version, "sha256": model.sha256},
        )
        with Journal(config.out, spec, restart=config.restart) as journal:
            run = _Run(client, journal, outputs, notice, model.sha256)
            await run.predict(folder, names, config.concurrency)
            return run.answered_before, classes


class _Run:
    """One run over a folder.

    Args:
        client: of the service.
        journal: of the run.
        outputs: besides the journal.
        notice: says when the service answers again.
        model_sha256: of the model that answers.
    """

    def __init__(
        self,
        client: AsyncSteelClient,
        journal: Journal,
        outputs: Outputs,
        notice: WaitingNotice,
        model_sha256: str,
    ) -> None:
        self._client = client
        self._journal = journal
        self._outputs = outputs
        self._notice = notice
        self._model_sha256 = model_sha256
        self.answered_before = 0
        """Number of files that the journal held."""

    async def predict(self, folder: Path, names: Sequence[str], concurrency: int) -> None:
        """Predict the files that the journal does not hold.

        Raises:
            SteelError: if the service is away, refuses more than single files, or some got no answer.
        """
        failures: list[SteelError] = []
        in_a_row = 0

        async def call(name: str) -> Answer | None:
            return await self._answer(folder, name)

        with tqdm(total=len(names), unit="strip", dynamic_ncols=True) as bar:
            async for answer in run_concurrently(call, names, concurrency):
                bar.update()
                if answer is None:
                    self.answered_before += 1
                    continue
                error = answer.error
                if error is None or error.concerns_file:
                    self._save(answer)
                    in_a_row = 0
                    continue
                failures.append(error)
                in_a_row += 1
                if error.status not in OF_ONE_STRIP or in_a_row >= _MOST_FAILURES:
                    raise error
        if failures:
            raise SteelError(
                f"{counted(len(failures), 'file')} got no answer, start again to resume; the last: "
                f"{failures[-1]}"
            )

    async def _answer(self, folder: Path, name: str) -> Answer | None:
        """Return the answer to a file; None if the journal holds it."""
        path = folder / name
        try:
            data = await asyncio.to_thread(read_file, path)
        except UnreadableFileError as error:
            return None if self._journal.holds(name, None) else Answer(Strip(name, b"", None), None, error)
        strip = Strip(name, data, hashlib.sha256(data).hexdigest())
        if self._journal.holds(name, strip.sha256):
            if self._outputs.wanted:
                await asyncio.to_thread(self._outputs.complete, recall(strip, self._journal.read(name)))
            return None
        try:
            answer = Answer(strip, await self._client.predict(data, path.name), None)
        except SteelError as error:
            return Answer(strip, None, error)
        self._notice.note_answer()
        return answer

    def _save(self, answer: Answer) -> None:
        """Save an answer: the picture first, so that a line in the journal means that both are there."""
        if answer.image is not None and answer.image.response.model.sha256 != self._model_sha256:
            raise ConfigurationError(
                "the service changed its model during the run; use another --out, or --restart"
            )
        self._outputs.save(answer)
        self._journal.add(answer)


def _count(path: Path, names: Iterable[str]) -> Counts:
    """Count the answers to these files."""
    counted = set(names)
    lines = [line for line in read_journal(path) if line["file"] in counted]
    verdicts = [line["verdict"] for line in lines]
    refused = sum("error" in line for line in lines)
    return Counts(
        defects=sum(bool(line.get("defect")) for line in lines),
        suspects=verdicts.count("suspect"),
        blind=verdicts.count("not_inspected") - refused,
        refused=refused,
    )
