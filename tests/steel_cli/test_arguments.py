"""Arguments that are ambiguous or ignored end the command with one line, before anything is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import __version__
from steel_cli.arguments import check_arguments
from steel_client.errors import ConfigurationError
from tests.steel_cli.conftest import Steel
from tests.support.images import png
from tests.support.serving import ROOT
from tests.support.tiny_model import block_strip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.png").write_bytes(png(block_strip()))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--server", "http://a", "--server", "http://b"), "--server: expected once, got it again"),
        (("--server=http://a", "--server", "http://b"), "--server: expected once, got it again"),
        (("--at-once", "2", "--concurrency", "3"), "--concurrency (--at-once): expected once, got it again"),
        (("--at_once", "2", "--at-once", "3"), "--concurrency (--at-once): expected once, got it again"),
        (("--restart", "--no-restart"), "--restart: expected once, got it again"),
        (("--write", "kaggle", "--write", "coco"), "--write: expected once, got it again; several values go"),
        (("--api-key", ""), "--api-key: expected a value, got an empty one"),
        (("--server=",), "--server: expected a value, got an empty one"),
        (("--out", ""), "--out: expected a value, got an empty one"),
        (("--server", "http://a", "--model", "m"), "expected --server or --model, got both"),
        (("--ca", "cert.pem"), "--ca: expected --server beside it"),
        (("--out", "/dev/null"), "--out: expected a folder, got '/dev/null', which is something else"),
        (("--out", "/dev/null/a/b"), "--out: expected a folder, got '/dev/null', which is something else"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "watch"])
def test_what_is_ambiguous_or_ignored_is_refused(
    steel: Steel, folder: Path, tmp_path: Path, command: str, arguments: tuple[str, ...], message: str
) -> None:
    out = () if "--out" in arguments else ("--out", tmp_path / "out")
    done = steel(command, folder, *arguments, *out)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["predict", "watch", "bulk"])
def test_an_empty_name_is_not_the_current_folder(
    steel: Steel, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = steel(command, "")
    assert (done.returncode, done.stderr) == (
        2,
        "error: folder: expected a value, got an empty one\n",
    )
    assert sorted(path.name for path in folder.iterdir()) == ["0.png"]


def test_what_may_come_is_not_refused() -> None:
    check_arguments(["predict", "a", "--write", "kaggle", "coco", "--label-studio-images", "", "--", "--out"])
    check_arguments(["predict", "a", "--label-studio-images=", "--restart", "--bits", "12"])
    with pytest.raises(ConfigurationError):
        check_arguments(["predict", "a", "--label-studio-images", "", "--out", ""])


def test_a_prefix_without_labels_is_refused(steel: Steel, folder: Path, tmp_path: Path) -> None:
    done = steel("predict", folder, "--out", tmp_path / "out", "--label-studio-images", "s3://mill/")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --label-studio-images: expected label-studio behind --write, got none\n",
    )


@pytest.mark.parametrize("command", ["predict", "watch", "bulk"])
@pytest.mark.parametrize("bits", ["9", "None", "12.0"])
def test_bits_that_do_not_exist(steel: Steel, folder: Path, command: str, bits: str) -> None:
    done = steel(command, folder, "--bits", bits)
    assert done.returncode == 2
    assert f"expected 8, 10, 12, 14 or 16, got '{bits}'" in " ".join(done.stderr.split())


def test_the_version(steel: Steel) -> None:
    assert steel("--version").stdout == f"steel {__version__}\n"


def test_the_version_needs_no_extra() -> None:
    code = "import sys; sys.modules['tyro'] = None; from steel_cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"steel {__version__}\n"


def test_a_folder_that_may_not_be_written(
    steel: Steel, folder: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    done = steel("predict", folder, "--out", tmp_path / "out", model=tiny_model)
    assert (done.returncode, done.stderr) == (2, f"error: {tmp_path / 'out'}: Permission denied\n")


def test_a_model_that_is_no_model(steel: Steel, folder: Path, tmp_path: Path) -> None:
    done = steel("predict", folder, "--model", ROOT / "README.md", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "README.md: expected an ONNX file, got another kind of file" in done.stderr
    assert "sha256" not in done.stderr
