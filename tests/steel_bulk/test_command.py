"""The command in this process, the worker called where Ray would call it."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from service.app import create_app
from service.files import locked_folder
from service.inference.prediction import ImageRules, Job, run_jobs
from service.settings import Settings
from steel_bulk import command, worker
from steel_bulk.attempts import WorkerDiedError
from steel_bulk.config import BulkConfig
from steel_bulk.locations import open_location
from steel_bulk.manifest import Manifest, read_manifest
from steel_bulk.parts import PartReport
from steel_bulk.rows import Row
from steel_bulk.worker import PartWorker, WorkerConfig
from steel_cli.__main__ import main
from steel_client.errors import SteelError
from tests.steel_bulk.archive import BAD, add_bad_files, names_of, rows_of, write_archive
from tests.support.health import NO_STEEL, STEEL, write_watchful_model
from tests.support.images import png
from tests.support.serving import ROOT, running_app
from tests.support.seven_kinds import KINDS, TILE, seven_frame, seven_rle, write_seven_model
from tests.support.tiny_model import VALUES, Box, block_rle, block_strip, write_tiny_model

STRIPS = 20


class InThisProcess:
    """Stands in for Ray; ``stop_after`` parts it is interrupted, as by Ctrl+C."""

    def __init__(self) -> None:
        self.stop_after: int | None = None
        self.parts: list[int] = []

    def __call__(
        self, config: WorkerConfig, parts: Sequence[int], *, workers: int | None, address: str | None
    ) -> Iterator[PartReport]:
        self.parts = list(parts)
        one = PartWorker(config)
        for number, part in enumerate(parts):
            if number == self.stop_after:
                raise KeyboardInterrupt
            yield one.predict(part)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> InThisProcess:
    stand_in = InThisProcess()
    monkeypatch.setattr(command, "predict_parts", stand_in)
    monkeypatch.setattr(worker, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("STEEL_DEVICE", "cpu")
    return stand_in


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "archive", STRIPS)


@pytest.fixture
def config(tmp_path: Path, archive: Path, tiny_model: Path, ray: InThisProcess) -> dict[str, Any]:
    return {
        "source": str(archive),
        "out": str(tmp_path / "out"),
        "model": tiny_model,
        "strips_per_part": 3,
    }


def run(config: dict[str, Any], **changes: Any) -> int:
    return command.bulk(BulkConfig(**{**config, **changes}))


@pytest.mark.anyio
@pytest.mark.parametrize("query", [{}, {"profile": "kaggle"}, {"threshold": "0.5", "min_area": "300,1,1,1"}])
async def test_rows_say_what_predict_says(
    config: dict[str, Any],
    archive: Path,
    tmp_path: Path,
    client: httpx.AsyncClient,
    query: dict[str, str],
) -> None:
    add_bad_files(archive)
    assert run(config, **query) == 1
    rows = {row["file"]: row for row in rows_of(tmp_path / "out")}
    assert sorted(rows) == names_of(archive)
    for name, row in rows.items():
        response = await client.post("/predict", params=query, content=(archive / name).read_bytes())
        said = response.json()
        assert row["status"] == response.status_code
        if response.status_code != 200:
            assert name in BAD
            assert row["error"] == row["reason"] == f"{said['title']}: {said['detail']}"
            assert row["verdict"] == "not_inspected"
            assert row["sha256"] is row["defect"] is row["rle_1"] is None
            continue
        (image,) = said["images"]
        for field in ("sha256", "width", "height", "verdict", "reason", "defect", "defect_probability"):
            assert row[field] == image.get(field)
        for one in image["classes"]:
            for field in ("present", "probability", "area", "rle"):
                assert row[f"{field}_{one['class_id']}"] == one[field]
        assert (row["model"], row["model_version"], row["model_sha256"]) == (
            said["model"]["name"],
            said["model"]["version"],
            said["model"]["sha256"],
        )
        assert row["profile"] == said["profile"]["name"]
        for field in ("class_threshold", "threshold", "min_area"):
            assert row[field] == said["profile"][field]


def test_an_interrupted_run_resumes_and_prints_the_sum(
    config: dict[str, Any],
    ray: InThisProcess,
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ray.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        run(config)
    parts = tmp_path / "out" / "strips"
    assert len(list(parts.iterdir())) == 3
    damaged, foreign = parts / "part-000001.parquet", parts / "part-000002.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])  # cut off by a disk that lost power
    shutil.copy(parts / "part-000000.parquet", foreign)  # whole, but its rows are others
    before = (parts / "part-000000.parquet").stat().st_mtime_ns
    ray.stop_after = None
    (archive / "late.png").write_bytes(b"")  # came after the listing
    assert run(config) == 0
    assert ray.parts[0] == 1
    assert (parts / "part-000000.parquet").stat().st_mtime_ns == before
    assert (
        f"{STRIPS} strips, {STRIPS} with a defect, 0 suspect, 0 not inspected, 0 refused"
        in capsys.readouterr().out
    )
    ray.parts = []
    assert run(config) == 0
    assert ray.parts == []


def test_a_run_does_not_resume_with_another_specification(
    config: dict[str, Any], tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(config) == 0
    other = write_tiny_model(tmp_path / "other" / "2" / "model.onnx", "2", VALUES[::-1])
    changed: list[tuple[dict[str, Any], str]] = [
        ({"model": other}, '"version":"2"'),
        ({"profile": "kaggle"}, '"name":"kaggle"'),
        ({"threshold": "0.25"}, '"threshold":[0.25,'),
        ({"strips_per_part": 4}, "strips_per_part = 3, got 4"),
        ({"source": str(archive / "line 1")}, "source = "),
    ]
    for changes, named in changed:
        with pytest.raises(SteelError, match="was started with") as refused:
            run(config, **changes)
        assert named in str(refused.value)
    monkeypatch.setenv("STEEL_MAX_FILE_BYTES", "1000")
    with pytest.raises(SteelError, match="max_file_bytes = 20971520, got 1000"):
        run(config)
    monkeypatch.undo()
    monkeypatch.setattr(command, "predict_parts", InThisProcess())
    monkeypatch.setenv("STEEL_DEVICE", "cpu")
    assert run(config, model=other, restart=True, strips_per_part=50) == 0
    rows = rows_of(tmp_path / "out")
    assert {row["model_version"] for row in rows} == {"2"}
    assert sorted(row["file"] for row in rows) == names_of(archive)
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(SteelError, match="without its manifest"):
        run(config)


def test_a_list_may_name_strips_anywhere_once(
    config: dict[str, Any], archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = write_archive(tmp_path / "elsewhere", 1) / "000.png"
    wanted = [
        "line 1/001.png",
        str(elsewhere),
        elsewhere.as_uri(),
        "line 2/späte Schicht/002.png",
    ]
    unreadable = ["gone.png", "notes.txt/a.png", "line 1", "x" * 300, "nul\0.png", "what://is/this.png"]
    listed = archive / "todo.txt"
    listed.write_text("\n".join([*wanted, "", *unreadable, *wanted]) + "\r\n", encoding="utf-8")
    assert run(config, source=str(listed)) == 1
    rows = {row["file"]: row for row in rows_of(tmp_path / "out")}
    assert list(rows) == [*wanted, *unreadable]
    assert [rows[name]["status"] for name in wanted] == [200] * len(wanted)
    for name in unreadable:
        assert rows[name]["status"] is None
        assert rows[name]["error"].startswith("cannot be read: ")
    listed.write_text("line 1/001.png\n")
    with pytest.raises(SteelError, match="list_sha256"):
        run(config, source=str(listed))


def test_a_bucket_gives_the_same(config: dict[str, Any], archive: Path, tmp_path: Path) -> None:
    bucket = fsspec.filesystem("memory")
    add_bad_files(archive)
    for name in names_of(archive):
        bucket.pipe(f"/mill/archive/{name}", (archive / name).read_bytes())
    uris = {"source": "fsspec+memory://mill/archive", "out": "fsspec+memory://mill/out"}
    assert run(config, **uris) == 1
    assert run(config, **uris) == 1  # nothing left to do
    bucket.get("/mill/out/", str(tmp_path / "fetched/"), recursive=True)
    assert run(config) == 1
    by_name = [
        sorted(rows_of(tmp_path / one), key=lambda row: str(row["file"])) for one in ("out", "fetched")
    ]
    assert by_name[0] == by_name[1]


def test_transient_errors_are_retried(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls, failing = worker._read, [], {"times": 2}

    def shaky(root: str, name: str, most: int) -> Any:
        calls.append(name)
        if name == "line 1/001.png" and calls.count(name) <= failing["times"]:
            raise OSError(5, "Input/output error")
        return read(root, name, most)

    monkeypatch.setattr(worker, "_read", shaky)
    failing["times"] = 99
    with pytest.raises(SteelError, match="Input/output error"):
        run(config)
    failing["times"] = calls.count("line 1/001.png") + 2
    assert run(config) == 0
    assert len({row["file"] for row in rows_of(tmp_path / "out")}) == STRIPS


def test_a_strip_that_crashes_every_worker_is_named(
    config: dict[str, Any], ray: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiesOnOne(PartWorker):
        def _predict_batch(self, names: Sequence[str], loaded: Sequence[worker.Loaded]) -> Iterator[Row]:
            if "003.png" in names:
                raise SystemExit  # stands in for a decoder that crashes
            return super()._predict_batch(names, loaded)

    def restarting(
        config: WorkerConfig, parts: Sequence[int], *, workers: int | None, address: str | None
    ) -> Iterator[PartReport]:
        for part in parts:
            for _ in range(20):
                with contextlib.suppress(SystemExit):
                    yield DiesOnOne(config).predict(part)
                    break

    monkeypatch.setattr(command, "predict_parts", restarting)
    with pytest.raises(WorkerDiedError, match=r"crashed its worker 5 times, last on .*003\.png"):
        run(config)
    monkeypatch.setattr(command, "predict_parts", ray)
    assert run(config) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "/nowhere"}, "no folder and no list at /nowhere"),
        ({"source": "what://is/this"}, "no file system for what://is/this"),
        ({"source": "{archive}/000.png"}, "got the image "),
        ({"source": "{archive}/empty"}, "holds no image"),
        (
            {"source": "{archive}/strips.zip"},
            "expected a folder, or a list in UTF-8 .* unpack archives first",
        ),
        ({"source": "{archive}/\udcff"}, "whose names are UTF-8"),
        ({"model": Path("/nowhere")}, "the model cannot be used: there is no model at /nowhere"),
        ({"profile": "best"}, "profile: expected one of inspection, kaggle"),
        ({"threshold": "2"}, "threshold: "),
        ({"workers": 0}, "at least 1"),
        ({"out": "{archive}/000.png"}, "--out: expected a folder, got .*, which is something else"),
        (
            {"out": "{archive}/000.png/below"},
            "--out: expected a folder, got '.*000.png'",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_starts(
    config: dict[str, Any], archive: Path, ray: InThisProcess, changes: dict[str, Any], message: str
) -> None:
    (archive / "empty").mkdir()
    (archive / "strips.zip").write_bytes(b"PK\3\4\xff")
    filled = {
        key: value.format(archive=archive) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    with pytest.raises(SteelError, match=message):
        run(config, **filled)
    assert ray.parts == []


@pytest.mark.slow
def test_names_of_every_kind_and_what_is_no_file(config: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    (folder / "\udce4").mkdir(parents=True)
    strip = png(block_strip(c3=(100, 20, 5, 30)))
    odd = ["\udce4/\udcf6.png", "\\udcfe.png", "a\n.png", " b\r.png", "c\u2028.png"]
    # The byte 0xFE has the same escapes as another name.
    odd += [os.fsdecode(bytes([byte]) + b".png") for byte in range(1, 256) if byte not in b"/\xfe"]
    for name in odd:
        (folder / name).write_bytes(strip)
    os.mkfifo(folder / "fifo.png")
    assert run(config, source=str(folder)) == 1
    rows = {row["file"]: row for row in rows_of(tmp_path / "out")}
    escaped = {name.encode("utf-8", "backslashreplace").decode() for name in odd}
    assert rows.keys() == {*escaped, "fifo.png"}
    assert {rows[name]["status"] for name in escaped} == {200}
    assert rows["fifo.png"]["error"] == "cannot be read: it is not a regular file"


@pytest.mark.parametrize("setting", [False, True], ids=["option", "STEEL_BITS"])
def test_bits_are_those_of_predict(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: bool
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    grey = np.rint(block_strip(c3=(100, 20, 5, 30)) * (4095 / 255)).astype(np.uint16)
    Image.fromarray(grey).save(folder / "12.png")
    assert run(config, source=str(folder)) == 1
    assert "bits" in rows_of(tmp_path / "out")[0]["error"]
    if setting:
        monkeypatch.setenv("STEEL_BITS", "12")
    bits = {} if setting else {"bits": "12"}
    with pytest.raises(SteelError, match="was started with bits = None, got '12'"):
        run(config, source=str(folder), **bits)
    assert run(config, source=str(folder), restart=True, **bits) == 0
    assert rows_of(tmp_path / "out")[0]["rle_3"] == block_rle(100, 20, 5, 30)


def test_a_run_of_an_earlier_version_keeps_its_id(config: dict[str, Any], tmp_path: Path) -> None:
    assert run(config) == 0
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_text())
    assert content["terms"].pop("bits") is None
    for name in ("pad", "classes"):
        del content["terms"][name]
    manifest.write_text(json.dumps(content))
    before = manifest_of(tmp_path / "out")
    spec = json.dumps(content["terms"], separators=(",", ":"), ensure_ascii=False)
    assert before.run == hashlib.sha256((spec + content["listing_sha256"]).encode()).hexdigest()[:16]


def manifest_of(out: Path) -> Manifest:
    manifest = read_manifest(open_location(str(out)))
    assert manifest is not None
    return manifest


def test_a_manifest_of_another_kind_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(SteelError, match="cannot be parsed; --restart starts over"):
        run(config)
    assert run(config, restart=True) == 0


def test_a_wrong_setting_is_one_line(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_DEVICE", "foo")
    with pytest.raises(SteelError, match="STEEL_DEVICE: Input should be 'auto', 'cpu'"):
        run(config)


def test_other_commands_need_neither_ray_nor_arrow() -> None:
    code = "import sys, service.app, steel_cli.__main__; print({'ray', 'pyarrow', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_not_installed_is_named(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "steel_bulk.command")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("sys.argv", ["steel", "bulk", str(archive)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: pyarrow is not installed in ")
    assert told.endswith(
        "pip install '.[bulk,cpu]', with openvino or gpu instead of cpu as the machine has it\n"
    )


@pytest.mark.parametrize("health", ["on", "off"])
def test_strips_that_do_not_look_like_steel_are_told_apart(
    config: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    health: str,
) -> None:
    model = write_watchful_model(tmp_path / "watchful" / "1" / "model.onnx")
    archive = tmp_path / "two"
    archive.mkdir()
    (archive / "dark.png").write_bytes(png(NO_STEEL))
    (archive / "steel.png").write_bytes(png(STEEL))
    monkeypatch.setenv("STEEL_HEALTH", health)
    assert run(config, source=str(archive), model=model) == (1 if health == "on" else 0)
    rows = {row["file"]: row for row in rows_of(tmp_path / "out")}
    assert rows["steel.png"]["verdict"] == "defect"
    dark = rows["dark.png"]
    if health == "on":
        assert (dark["verdict"], dark["defect"], dark["present_3"]) == ("not_inspected", None, None)
        assert dark["reason"].startswith("no steel in the picture: share of black columns 1,")
        assert "2 strips, 1 with a defect, 0 suspect, 1 not inspected, 0 refused" in capsys.readouterr().out
    else:
        assert (dark["verdict"], dark["defect"]) == ("ok", False)
    monkeypatch.setenv("STEEL_HEALTH", "off" if health == "on" else "on")
    with pytest.raises(SteelError, match="was started with health"):
        run(config, source=str(archive), model=model)


def test_a_second_command_is_kept_out(config: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with locked_folder(out), pytest.raises(SteelError, match="another command writes to"):
        run(config)
    with locked_folder(out), pytest.raises(SteelError, match="another command writes to"):
        run(config, restart=True)
    assert list(out.iterdir()) == []
    assert run(config) == 0


@pytest.mark.anyio
async def test_rows_of_any_classes_and_frames_say_what_predict_says(
    config: dict[str, Any], tmp_path: Path
) -> None:
    model = write_seven_model(tmp_path / "seven" / "1" / "model.onnx")
    folder = tmp_path / "frames"
    folder.mkdir()
    blocks: dict[int, Box] = {7: (100, 60, 90, 30), 1200: (250, 0, 50, 30)}
    (folder / "wide.png").write_bytes(png(seven_frame(blocks)))
    (folder / "long.png").write_bytes(png(seven_frame({40: (3, 10, 60, 900)}, (1000, 130))))
    (folder / "tile.png").write_bytes(png(seven_frame({3: (0, 0, 9, 9)}, TILE)))
    (folder / "small.png").write_bytes(png(seven_frame({2: (0, 0, 9, 9)}, (40, 90))))
    (folder / "empty.png").write_bytes(b"")
    for pad in ("false", "true"):
        assert run(config, source=str(folder), model=model, pad=pad, restart=True) == 1
        rows = {row["file"]: row for row in rows_of(tmp_path / "out")}
        assert rows["small.png"]["status"] == (200 if pad == "true" else 422)
        app = create_app(Settings(model=model, device="cpu", batch_timeout_ms=0))
        async with running_app(app) as client:
            for name, row in rows.items():
                content = (folder / name).read_bytes()
                response = await client.post("/predict", params={"pad": pad}, content=content)
                assert row["status"] == response.status_code
                if response.status_code != 200:
                    continue
                (image,) = response.json()["images"]
                assert (row["width"], row["height"]) == (image["width"], image["height"])
                assert (row["verdict"], row["defect"]) == (image["verdict"], image["defect"])
                for one in image["classes"]:
                    for field in ("present", "probability", "area", "rle"):
                        assert row[f"{field}_{one['class_id']}"] == one[field]
    columns = [name for name in rows["wide.png"] if name.startswith("rle_")]
    assert columns == [f"rle_{one.id}" for one in KINDS]
    assert {one.id for one in KINDS if rows["wide.png"][f"present_{one.id}"]} == blocks.keys()
    assert rows["wide.png"]["rle_7"] == seven_rle(blocks[7])
    assert len(rows["wide.png"]["threshold"]) == len(KINDS)


def test_names_of_classes_are_in_the_parts_and_the_manifest(config: dict[str, Any], tmp_path: Path) -> None:
    model = write_seven_model(tmp_path / "seven" / "1" / "model.onnx")
    assert run(config, model=model) == 0
    kinds = [one.model_dump() for one in KINDS]
    for part in (tmp_path / "out" / "strips").iterdir():
        assert json.loads(pq.read_schema(part).metadata[b"steel_classes"]) == kinds
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["terms"]["classes"] == kinds
    other = write_tiny_model(tmp_path / "other" / "1" / "model.onnx", values=(50, 100), tile=TILE)
    with pytest.raises(SteelError, match="was started with model = "):
        run(config, model=other)
    with pytest.raises(SteelError, match="was started with pad = False, got True"):
        run(config, model=model, pad="true")


def test_frames_of_many_tiles_are_predicted_one_after_the_other(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_seven_model(tmp_path / "seven" / "1" / "model.onnx")
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(png(seven_frame({})))  # of six tiles
    together: list[int] = []

    def counting(session: Any, jobs: Sequence[Job], rules: ImageRules) -> Any:
        together.append(len(jobs))
        return run_jobs(session, jobs, rules)

    monkeypatch.setattr(worker, "run_jobs", counting)
    assert run(config, source=str(folder), model=model, strips_per_part=6) == 0
    assert together == [2, 2, 2]
    assert len(rows_of(tmp_path / "out")) == 6
