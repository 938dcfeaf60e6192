"""Finding a model file and checking its checksum."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ModelFileError
from service.model.repository import GPU_MODEL, checksum_file, find_model, gpu_variant, read_model
from tests.support.loading import refusal
from tests.support.serving import ROOT
from tests.support.tiny_model import write_tiny_model


def make_models(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "model.onnx").touch()


def test_a_repository_means_the_highest_version_of_its_one_model(tmp_path: Path) -> None:
    make_models(tmp_path, "steel/2", "steel/10", "steel/draft")
    expected = tmp_path / "steel" / "10" / "model.onnx"
    for path in (tmp_path, tmp_path / "steel", tmp_path / "steel" / "10", expected):
        assert find_model(path) == expected


def test_several_models_have_to_be_chosen_from(tmp_path: Path) -> None:
    make_models(tmp_path, "a/1", "b/1")
    with pytest.raises(ModelFileError, match=r"several models \(a, b\)"):
        find_model(tmp_path)


def test_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected <name>/<version>/model\.onnx in"):
        find_model(tmp_path)
    with pytest.raises(ModelFileError, match="there is no model at"):
        find_model(tmp_path / "missing")


def test_the_file_for_gpus_is_taken_where_there_is_one(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    assert gpu_variant(model) == model
    (tmp_path / GPU_MODEL).touch()
    assert gpu_variant(model) == tmp_path / GPU_MODEL


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no model file at" in refusal(tmp_path / "none.onnx")


def test_no_checksum_says_how_to_write_one(model: Path) -> None:
    checksum_file(model).unlink()
    reason = refusal(model)
    assert "no checksum beside it" in reason
    assert "sha256sum model.onnx > model.onnx.sha256" in reason


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
@pytest.mark.parametrize("options", [[], ["--binary"]])
def test_what_sha256sum_writes_is_read(model: Path, options: list[str]) -> None:
    with checksum_file(model).open("w") as output:
        subprocess.run(["sha256sum", *options, model.name], cwd=model.parent, stdout=output, check=True)
    assert read_model(model).data == model.read_bytes()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_reads_what_is_written(model: Path) -> None:
    subprocess.run(["sha256sum", "--check", checksum_file(model).name], cwd=model.parent, check=True)


@pytest.mark.parametrize("text", ["", "no hash", "0123  model.onnx", f"{'0' * 64}\n{'1' * 64}  model.onnx"])
def test_a_checksum_in_another_format(model: Path, text: str) -> None:
    checksum_file(model).write_text(text)
    assert "expected one line as sha256sum writes it" in refusal(model)


def test_the_checksum_of_another_file(model: Path) -> None:
    line = checksum_file(model).read_text()
    checksum_file(model).write_text(line.replace("model.onnx", "gpu.onnx"))
    assert "expected the checksum of model.onnx, got that of gpu.onnx" in refusal(model)


@pytest.mark.parametrize("change", [lambda data: data[:500], lambda data: data + b"\0", lambda data: b""])
def test_a_truncated_or_longer_file(model: Path, change: Callable[[bytes], bytes]) -> None:
    model.write_bytes(change(model.read_bytes()))
    assert "as in model.onnx.sha256, got" in refusal(model)


def test_a_swapped_file(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other" / "model.onnx", version="2")
    model.write_bytes(other.read_bytes())
    assert "as in model.onnx.sha256, got" in refusal(model)


def test_the_released_files_have_their_checksums() -> None:
    files = sorted((ROOT / "models").rglob("*.onnx"))
    assert files
    for file in files:
        read_model(file)


def test_a_file_that_cannot_be_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", fail)
    assert "model.onnx cannot be read: [Errno 13] Permission denied" in refusal(model)
