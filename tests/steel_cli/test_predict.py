"""``steel predict`` in this process, ``steel watch`` in one of its own."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.masks import rle
from steel_cli.__main__ import main
from tests.support.images import png
from tests.support.serving import ROOT, Server, real_server
from tests.support.tiny_model import block_rle, block_strip


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with real_server(tiny_model) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six strips in two folders, one of them broken."""
    images = tmp_path / "images"
    (images / "line 2").mkdir(parents=True)
    for number in range(5):
        (images / f"{number}.png").write_bytes(png(block_strip(c3=(100 + number, 20, 5, 30))))
    (images / "line 2" / "0.png").write_bytes(png(block_strip()))
    (images / "broken.png").write_bytes(b"no image")
    (images / "notes.txt").write_text("no image either")
    return images


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Steel:
    """The command, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object, model: Path | None = None) -> Done:
        with self._monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["steel", *map(str, arguments)])
            if model is not None:
                patch.setenv("STEEL_MODEL", str(model))
                patch.setenv("STEEL_DEVICE", "cpu")
            with pytest.raises(SystemExit) as ended:
                main()
        output = self._capsys.readouterr()
        return Done(int(ended.value.code or 0), output.out, output.err)


@pytest.fixture
def steel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Steel:
    return Steel(monkeypatch, capsys)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_folder_gives_the_same_with_and_without_a_server(
    steel: Steel, server: Server, folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    extra = ("--write", "kaggle", "coco", "pictures")
    with_server = steel("predict", folder, "--server", server.url, "--out", tmp_path / "a", *extra)
    without = steel("predict", folder, "--out", tmp_path / "b", *extra, model=tiny_model)
    assert (with_server.returncode, without.returncode) == (1, 1), with_server.stderr + without.stderr
    assert "7 files, 5 with a defect, 1 refused" in with_server.stdout

    def by_name(out: Path) -> list[dict[str, Any]]:
        return sorted(lines(out), key=lambda line: str(line["file"]))

    assert by_name(tmp_path / "a") == by_name(tmp_path / "b")
    assert {line["file"] for line in lines(tmp_path / "a")} == {
        *(f"{number}.png" for number in range(5)),
        "line 2/0.png",
        "broken.png",
    }
    for out in (tmp_path / "a", tmp_path / "b"):
        with (out / "submission.csv").open() as file:
            rows = {(row["ImageId"], row["ClassId"]): row["EncodedPixels"] for row in csv.DictReader(file)}
        assert len(rows) == 24
        assert rows["2.png", "3"] == block_rle(102, 20, 5, 30)
        coco = COCO(out / "coco.json")
        names = {image["id"]: image["file_name"] for image in coco.imgs.values()}
        (annotation,) = [one for one in coco.anns.values() if names[one["image_id"]] == "2.png"]
        expected = rle.decode(rows["2.png", "3"], height=256, width=1600).T
        np.testing.assert_array_equal(coco.annToMask(annotation), expected)
        assert annotation["bbox"] == [102, 20, 5, 30]
        pictures = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
        assert pictures == {f"pictures/{number}.png" for number in range(5)}
        with Image.open(out / "pictures" / "2.png") as picture:
            assert picture.mode == "RGB"


def test_an_interrupted_run_resumes_where_it_stopped(
    steel: Steel, server: Server, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert steel("predict", folder, "--server", server.url, "--out", out).returncode == 1
    journal = out / "predictions.jsonl"
    whole = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole[:3]) + whole[3][:40])  # killed while it wrote the fourth line
    former_name = ("--at-once", 2)
    assert steel("predict", folder, "--server", server.url, "--out", out, *former_name).returncode == 1
    again = lines(out)
    assert journal.read_bytes().splitlines(keepends=True)[:3] == whole[:3]
    assert sorted(line["file"] for line in again) == sorted(json.loads(line)["file"] for line in whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{empty}", "--server", "{server}"), "holds no image"),
        (("{folder}", "--server", "http://127.0.0.1:9", "--timeout", "1"), "no answer"),
        (("{folder}", "--model", "/nowhere"), "the model cannot be served: there is no model at /nowhere"),
    ],
)
def test_an_error_is_one_line(
    steel: Steel, server: Server, folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "folder": folder, "server": server.url}
    done = steel("predict", *(one.format(**places) for one in arguments), "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_watched_folder_is_predicted_as_files_arrive(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "steel_cli", "watch", str(folder), "--server", server.url]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--interval", "0.1"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: len(lines(out)) == 7, out)
        shutil.copy(folder / "1.png", folder / "new.png")
        wait_for(lambda: len(lines(out)) == 8, out)
        assert lines(out)[-1]["file"] == "new.png"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "new.png: kind 3 100%" in output
    assert "line 2/0.png" in {line["file"] for line in lines(out)}
    assert "broken.png: refused: Unsupported media type" in output


def wait_for(condition: Any, out: Path) -> None:
    deadline = time.monotonic() + 60
    while not ((out / "predictions.jsonl").is_file() and condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
