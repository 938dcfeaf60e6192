"""A model file is input like any other: each way to be bad is refused with its reason."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.errors import ModelFileError
from service.model.metadata import Golden, png_base64
from service.model.repository import checksum_file, read_model, write_checksum
from service.model.session import open_session
from tests.support.serving import ROOT
from tests.support.tiny_model import tiny_graph, tiny_metadata, write_model, write_tiny_model


def refusal(path: Path) -> str:
    """Why a file is refused on the way that serves."""
    with pytest.raises(ModelFileError) as caught:
        open_session(path, device="cpu", threads=1)
    return str(caught.value)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


def golden(**changes: object) -> str:
    metadata = tiny_metadata()
    changed: Golden = metadata.golden.model_copy(update=changes)
    return metadata.model_copy(update={"golden": changed}).model_dump_json()


def test_a_good_file_is_served(model: Path) -> None:
    assert open_session(model, device="cpu", threads=1).sha256 == read_model(model).sha256


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
    assert "is not one line as sha256sum writes it" in refusal(model)


def test_the_checksum_of_another_file(model: Path) -> None:
    line = checksum_file(model).read_text()
    checksum_file(model).write_text(line.replace("model.onnx", "gpu.onnx"))
    assert "is the checksum of gpu.onnx, not of model.onnx" in refusal(model)


@pytest.mark.parametrize("change", [lambda data: data[:500], lambda data: data + b"\0", lambda data: b""])
def test_a_truncated_or_longer_file(model: Path, change: Callable[[bytes], bytes]) -> None:
    model.write_bytes(change(model.read_bytes()))
    assert "is not the file that model.onnx.sha256 names" in refusal(model)


def test_a_swapped_file(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other" / "model.onnx", version="2")
    model.write_bytes(other.read_bytes())
    assert "is not the file that model.onnx.sha256 names" in refusal(model)


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_a_foreign_file_with_a_right_checksum(model: Path, data: bytes) -> None:
    model.write_bytes(data)
    write_checksum(model)
    assert "cannot be loaded by onnxruntime" in refusal(model)


def test_a_truncated_file_with_a_right_checksum(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:500])
    write_checksum(model)
    assert "cannot be loaded by onnxruntime" in refusal(model)


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin", "/etc/hostname", "{folder}/weights.bin"])
def test_weights_outside_the_file(
    model: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they exist: in the folder of the model, which is the working directory as well."""
    graph = tiny_graph()
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == "values")
    (tmp_path / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=place.format(folder=tmp_path))
    # Not onnx.save, which would take the weights in.
    del graph.metadata_props[:]
    helper.set_model_props(graph, {"steel_defect_model": tiny_metadata().model_dump_json()})
    model.write_bytes(graph.SerializeToString())
    write_checksum(model)
    monkeypatch.chdir(tmp_path)
    assert "External data path validation failed" in refusal(model)


def test_no_metadata(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_graph(), None)
    assert "carries no 'steel_defect_model' metadata" in refusal(path)


@pytest.mark.parametrize(
    "text", ["{}", "no json", tiny_metadata().model_copy(update={"height": 128}).model_dump_json()]
)
def test_foreign_metadata(tmp_path: Path, text: str) -> None:
    assert "is not understood" in refusal(write_model(tmp_path / "m.onnx", tiny_graph(), text))


def test_another_contract(tmp_path: Path) -> None:
    graph = tiny_graph()
    graph.graph.output.reverse()
    onnx.checker.check_model(graph)
    path = write_model(tmp_path / "m.onnx", graph, tiny_metadata().model_dump_json())
    assert "has inputs and outputs" in refusal(path)


@pytest.mark.parametrize(
    ("metadata", "number"),
    [(golden(class_probability=(1, 1, 0, 1)), 2), (golden(rle=("", "", "1 409600", "")), 3)],
)
def test_a_wrong_golden_strip(tmp_path: Path, metadata: str, number: int) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_graph(), metadata)
    assert f"the golden strip is answered wrongly for class {number}" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"strip_png": "no base64"},
        {"strip_png": "AAAA"},
        {"strip_png": png_base64(np.zeros((1, 1600), dtype=np.uint8))},
        {"rle": ("1", "", "", "")},
    ],
)
def test_a_golden_strip_that_cannot_be_read(tmp_path: Path, changes: dict[str, object]) -> None:
    path = write_model(tmp_path / "m.onnx", tiny_graph(), golden(**changes))
    assert "the golden strip cannot be read" in refusal(path)


def test_the_released_files_have_their_checksums() -> None:
    files = sorted((ROOT / "models").rglob("*.onnx"))
    assert files
    for file in files:
        read_model(file)
