"""``steel predict``, in this process."""

import asyncio
import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.masks import rle
from steel_bulk.settings import local_settings
from steel_cli.lock import lock
from steel_cli.outputs import Outputs
from steel_cli.predict import PredictConfig, _predict, list_images
from steel_client import SteelError
from tests.steel_cli.conftest import Service, Steel
from tests.support.health import NO_STEEL, STEEL, write_watchful_model
from tests.support.images import png
from tests.support.serving import ROOT, Server, real_server
from tests.support.tiny_model import VALUES, block_rle, block_strip, write_tiny_model
from tests.support.tls import make_pair


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


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_folder_gives_the_same_with_and_without_a_server(
    steel: Steel, server: Server, folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    extra = ("--write", "kaggle", "coco", "pictures")
    with_server = steel("predict", folder, "--server", server.url, "--out", tmp_path / "a", *extra)
    without = steel("predict", folder, "--out", tmp_path / "b", *extra, model=tiny_model)
    assert (with_server.returncode, without.returncode) == (1, 1), with_server.stderr + without.stderr
    assert "7 files, 5 with a defect, 0 suspect, 0 not inspected, 1 refused" in with_server.stdout

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
        (
            ("{folder}", "--server", "http://127.0.0.1:9", "--timeout", "1"),
            "no answer from http://127.0.0.1:9",
        ),
        (("{folder}", "--model", "/nowhere"), "the model cannot be served: there is no model at /nowhere"),
        (("{folder}/gone", "--server", "{server}"), "there is no folder '{folder}/gone'"),
        (("{folder}/notes.txt", "--server", "{server}"), "expected a folder or an image, got the file"),
        (("{archive}", "--server", "{server}"), "unpack archives first"),
        (("{folder}", "--server", "{server}", "--profile", "best"), "expected one of inspection, kaggle"),
        (("{folder}", "--server", "localhost:8000"), "expected a URL such as http://host:8000"),
        (("{folder}", "--server", "{server}", "--api-key", "ä\n"), "expected an API key of printable"),
        (("{folder}", "--server", "{server}", "--ca", "/nowhere.pem"), "there is no certificate file"),
        (
            ("{folder}", "--server", "{server}", "--concurrency", "0"),
            "--concurrency (--at-once): expected at",
        ),
        (("{folder}", "--server", "{server}", "--timeout", "0"), "timeout: expected more than 0"),
        (("{folder}", "--server", "{server}", "--timeout", "inf"), "timeout: expected more than 0"),
        (("{folder}", "--server", "http://127.0.0.1:99999"), "expected a port of 1 to 65535"),
        (("{folder}", "--server", "{server}/#strips"), "expected a URL without ? and #"),
    ],
)
def test_an_error_is_one_line(
    steel: Steel, server: Server, folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "strips.zip").write_bytes(b"PK\3\4")
    places = {
        "empty": tmp_path / "empty",
        "folder": folder,
        "server": server.url,
        "archive": tmp_path / "strips.zip",
    }
    done = steel("predict", *(one.format(**places) for one in arguments), "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message.format(**places) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"STEEL_DEVICE": "foo"}, "error: STEEL_DEVICE: Input should be 'auto', 'cpu', 'openvino', 'cuda'"),
        (
            {"ALL_PROXY": "proxy.mill:port"},
            "error: a proxy or a certificate in",
        ),
    ],
)
def test_the_environment_gives_one_line(
    steel: Steel, folder: Path, tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    server = ("--server", "http://127.0.0.1:9") if "ALL_PROXY" in environment else ()
    done = steel("predict", folder, *server, "--out", tmp_path / "out", environment=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_mixed_with_another(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    out = tmp_path / "out"
    assert steel("predict", folder, "--out", out, model=tiny_model).returncode == 1
    journal = (out / "predictions.jsonl").read_bytes()
    other_model = write_tiny_model(tmp_path / "other" / "2" / "model.onnx", "2", VALUES[::-1])
    changes: list[tuple[tuple[object, ...], Path, str]] = [
        ((folder / "line 2",), tiny_model, f'folder = "{folder}", got "{folder}/line 2"'),
        ((folder, "--profile", "kaggle"), tiny_model, 'profile = "inspection", got "kaggle"'),
        ((folder, "--bits", "12"), tiny_model, 'bits = null, got "12"'),
        ((folder,), other_model, 'model = {"name": "tiny", "version": "1"'),
    ]
    for arguments, model, difference in changes:
        done = steel("predict", *arguments, "--out", out, model=model)
        assert done.returncode == 2
        assert f"was started with {difference}" in done.stderr
        assert "use another --out, or --restart" in done.stderr
    watched = steel("watch", folder, "--out", out, model=tiny_model)
    assert 'was started with command = "predict", got "watch"' in watched.stderr
    assert (out / "predictions.jsonl").read_bytes() == journal
    (out / "run.json").unlink()  # as earlier versions left it
    done = steel("predict", folder, "--out", out, model=tiny_model)
    assert "holds the answers of a run without run.json" in done.stderr
    done = steel("predict", folder, "--out", out, "--restart", model=other_model)
    assert done.returncode == 1
    assert {line["model"]["version"] for line in lines(out) if "model" in line} == {"2"}


def test_another_content_of_a_file_is_answered(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    run = ("predict", folder, "--out", tmp_path / "out", "--write", "kaggle", "coco")
    assert steel(*run, model=tiny_model).returncode == 1
    strip = folder / "0.png"
    size, times = len(strip.read_bytes()), strip.stat()
    strip.write_bytes(png(block_strip(c3=(200, 20, 5, 30))).ljust(size, b"\0")[:size])
    os.utime(strip, ns=(times.st_atime_ns, times.st_mtime_ns))
    (folder / "1.png").write_bytes((folder / "2.png").read_bytes())
    (folder / "broken.png").write_bytes(png(block_strip()))
    done = steel(*run, model=tiny_model)
    assert done.returncode == (0 if lines(tmp_path / "out")[-1]["status"] == 200 else 1)
    assert len(lines(tmp_path / "out")) == 10  # seven, and three new versions
    with (tmp_path / "out" / "submission.csv").open() as file:
        rows = {(row["ImageId"], row["ClassId"]): row["EncodedPixels"] for row in csv.DictReader(file)}
    assert rows["1.png", "3"] == rows["2.png", "3"]
    assert len(COCO(tmp_path / "out" / "coco.json").imgs) == len({image for image, _ in rows})
    steel(*run, model=tiny_model)
    assert len(lines(tmp_path / "out")) == 10


def journal_only(config: PredictConfig) -> Outputs:
    """Return that nothing else is written."""
    return Outputs(config.out, (), None, print)


@pytest.mark.anyio
@pytest.mark.parametrize("status", [408, 500, 504])
async def test_a_strip_without_an_answer_gets_no_line(
    service: Service, folder: Path, tmp_path: Path, status: int
) -> None:
    config = PredictConfig(folder, tmp_path / "out", server="http://x", timeout=3)
    (folder / "broken.png").unlink()
    names = list_images(folder, config.out)[1]
    service.failing["3.png"] = status
    with pytest.raises(SteelError, match="1 file got no answer, start again to resume; the last: Away"):
        await _predict(config, folder, names, journal_only(config))
    assert len(lines(tmp_path / "out")) == 5
    service.failing.clear()
    await _predict(config, folder, names, journal_only(config))
    assert {line["status"] for line in lines(tmp_path / "out")} == {200}
    assert len(service.received) == 6


@pytest.mark.anyio
async def test_a_service_that_is_away_is_waited_for_as_long_as_the_timeout_says(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    config = PredictConfig(folder, tmp_path / "out", server="http://x", timeout=20)
    service.away = 503
    task = asyncio.create_task(_predict(config, folder, ["0.png"], journal_only(config)))
    await asyncio.sleep(3)
    service.away = None
    await task
    assert len(lines(tmp_path / "out")) == 1


@pytest.mark.anyio
async def test_a_refusal_of_the_call_is_none_of_its_files(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    config = PredictConfig(folder, tmp_path / "out", server="http://x", timeout=5)
    service.failing["3.png"] = 401
    with pytest.raises(SteelError) as refused:
        await _predict(config, folder, list_images(folder, config.out)[1], journal_only(config))
    assert refused.value.status == 401
    assert "3.png" not in {line["file"] for line in lines(tmp_path / "out")}


def test_files_that_were_answered_before_are_counted(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    run = ("predict", folder, "--out", tmp_path / "out")
    assert "answered before" not in steel(*run, model=tiny_model).stdout
    (folder / "new.png").write_bytes(png(block_strip()))
    last = steel(*run, model=tiny_model).stdout.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'out' / 'predictions.jsonl'}: 8 files, ")
    assert last.endswith("; 7 answered before")
    done = steel("predict", folder / "0.png", "--out", tmp_path / "one", model=tiny_model)
    assert ": 1 file, " in done.stdout


def test_a_second_command_is_kept_out(steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    assert steel("predict", folder, "--out", out, model=tiny_model).returncode == 1
    with (out / "predictions.jsonl").open("ab") as file:
        lock(file)
        for command in ("predict", "watch"):
            done = steel(command, folder, "--out", out, "--restart", model=tiny_model)
            assert (done.returncode, len(lines(out))) == (2, 7)
            assert "another command writes to" in done.stderr
    assert steel("predict", folder, "--out", out, model=tiny_model).returncode == 1


@pytest.mark.slow
def test_names_of_every_byte(steel: Steel, server: Server, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    strip = png(block_strip(c3=(100, 20, 5, 30)))
    names = {os.fsdecode(bytes([byte]) + b".png") for byte in range(1, 256) if byte not in b"/"}
    names |= {" blank.png", "größe\u2028\x85.png", "a\r\nb.png", "x" * 251 + ".png", "x" * 251 + ".jpg"}
    for name in names:
        (folder / name).write_bytes(strip)
    extra = ("--write", "kaggle", "coco", "label-studio", "pictures")
    done = steel("predict", folder, "--server", server.url, "--out", tmp_path / "a", *extra)
    assert done.returncode == 0, done.stderr
    assert {line["file"] for line in lines(tmp_path / "a")} == names
    assert len(lines(tmp_path / "a")) == len(names)
    assert len(list((tmp_path / "a" / "pictures").iterdir())) == len(names)
    tasks = json.loads((tmp_path / "a" / "label_studio.json").read_text())
    urls = {unquote_to_bytes(task["data"]["image"].removeprefix("/data/local-files/?d=")) for task in tasks}
    assert urls == {os.fsencode(name) for name in names}
    with (tmp_path / "a" / "submission.csv").open(newline="") as file:
        assert len({row["ImageId"] for row in csv.DictReader(file)}) == len(names)
    again = steel("predict", folder, "--server", server.url, "--out", tmp_path / "a")
    assert (again.returncode, len(lines(tmp_path / "a"))) == (0, len(names))


def test_one_image(steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    done = steel("predict", folder / "2.png", "--out", tmp_path / "out", model=tiny_model)
    assert done.returncode == 0
    assert [line["file"] for line in lines(tmp_path / "out")] == ["2.png"]


def test_a_fifo_and_pictures_of_an_earlier_run_are_no_strips(
    steel: Steel, folder: Path, tiny_model: Path
) -> None:
    os.mkfifo(folder / "fifo.png")
    run = ("predict", folder, "--out", folder / "out", "--write", "pictures")
    for _ in range(2):
        steel(*run, model=tiny_model)
        assert len(lines(folder / "out")) == 7


def test_bits_are_sent(steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    grey = block_strip(c3=(100, 20, 5, 30)).astype(np.uint16)
    for path in folder.rglob("*.png"):
        path.unlink()
    Image.fromarray(np.rint(grey * (4095 / 255)).astype(np.uint16)).save(folder / "12.png")
    Image.fromarray(grey * 257).save(folder / "16.png")
    (folder / "8.png").write_bytes(png(grey.astype(np.uint8)))
    run = ("predict", folder, "--write", "pictures")
    plain = steel(*run, "--out", tmp_path / "a", model=tiny_model)
    assert plain.returncode == 1
    refused = {line["file"]: line["error"] for line in lines(tmp_path / "a") if "error" in line}
    assert refused.keys() == {"12.png"}
    assert "bits" in refused["12.png"]
    pictures = [(tmp_path / "a" / "pictures" / f"{bits}.png").read_bytes() for bits in (8, 16)]
    assert pictures[0] == pictures[1]
    (folder / "16.png").unlink()
    for option, setting in ((("--bits", "12"), {}), ((), {"STEEL_BITS": "12"})):
        out = tmp_path / f"b{len(option)}"
        assert steel(*run, *option, "--out", out, model=tiny_model, environment=setting).returncode == 0
        assert np.abs(pixels(out / "pictures" / "12.png") - pixels(out / "pictures" / "8.png")).max() <= 2


def pixels(path: Path) -> npt.NDArray[np.int16]:
    with Image.open(path) as picture:
        return np.asarray(picture, dtype=np.int16)


@pytest.mark.slow
def test_the_default_model_is_found_from_every_folder(
    steel: Steel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strip = ROOT / "examples" / "strip.png"
    cpu = {"STEEL_DEVICE": "cpu"}
    assert local_settings(None).model == ROOT / "models" / "steel-unet-resnet18-fast"
    done = steel("predict", strip, "--out", tmp_path / "out", environment=cpu)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr("steel_bulk.settings._ROOT", tmp_path)
    done = steel("predict", strip, "--out", tmp_path / "out", environment=cpu)
    assert "name one with --model or STEEL_MODEL" in done.stderr


@pytest.mark.slow
def test_a_self_signed_server(steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    pair = make_pair(tmp_path, "self")
    with real_server(tiny_model, trust=False, tls_certificate=pair.certificate, tls_key=pair.key) as server:
        run = ("predict", folder, "--server", server.url, "--out", tmp_path / "out")
        done = steel(*run)
        assert done.returncode == 2
        assert "the server's certificate is not trusted" in done.stderr
        assert "--ca" in done.stderr
        assert steel(*run, "--ca", pair.certificate).returncode == 1
    assert len(lines(tmp_path / "out")) == 7


def test_a_strip_that_does_not_look_like_steel_is_told_apart(steel: Steel, tmp_path: Path) -> None:
    model = write_watchful_model(tmp_path / "tiny" / "1" / "model.onnx")
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    (images / "dark.png").write_bytes(png(NO_STEEL))
    (images / "steel.png").write_bytes(png(STEEL))
    done = steel("predict", images, "--out", out, "--write", "kaggle", "coco", "pictures", model=model)
    assert done.returncode == 1, done.stderr
    assert "2 files, 1 with a defect, 0 suspect, 1 not inspected, 0 refused" in done.stdout
    dark, seen = sorted(lines(out), key=lambda line: str(line["file"]))
    assert (dark["verdict"], dark["defect"], seen["verdict"]) == ("not_inspected", None, "defect")
    assert "classes" not in dark
    assert "dark.png" not in (out / "submission.csv").read_text()  # no row says that it is clean
    assert [image["file_name"] for image in json.loads((out / "coco.json").read_text())["images"]] == [
        "steel.png"
    ]
    assert {path.name for path in (out / "pictures").iterdir()} == {"dark.png", "steel.png"}
