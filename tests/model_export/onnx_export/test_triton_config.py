"""The configuration that Triton wants beside a model, read by Triton's own definition of it."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from model_export.onnx_export.triton_config import write_triton_config
from service.model.repository import find_model, write_checksum
from service.model.session import OrtSession
from tests.support.serving import ROOT
from tests.support.tiny_model import write_tiny_model


def parsed(path: Path) -> Any:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def test_triton_understands_the_configuration(tmp_path: Path) -> None:
    config = parsed(write_triton_config(write_tiny_model(tmp_path / "tiny" / "1" / "model.onnx")))
    types = model_config_pb2.DataType
    assert (config.name, config.platform, config.max_batch_size) == ("tiny", "onnxruntime_onnx", 16)
    assert config.HasField("dynamic_batching")
    (image,) = config.input
    assert (image.name, image.data_type, list(image.dims)) == (
        "image",
        types.Value("TYPE_UINT8"),
        [256, 1600],
    )
    assert [(one.name, types.Name(one.data_type), list(one.dims)) for one in config.output] == [
        ("class_probability", "TYPE_FP32", [4]),
        ("mask_probability", "TYPE_UINT8", [4, 1600, 256]),
    ]


@pytest.mark.parametrize("folder", sorted((ROOT / "models").iterdir()), ids=lambda folder: folder.name)
def test_the_shipped_file_is_what_the_code_writes(folder: Path, tmp_path: Path) -> None:
    model = find_model(folder)
    copy = tmp_path / folder.name / model.parent.name / model.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(model.read_bytes())
    assert write_triton_config(copy).read_text() == (folder / "config.pbtxt").read_text()
    write_checksum(copy)
    metadata = OrtSession(copy).metadata
    assert (metadata.name, metadata.version) == (folder.name, model.parent.name)


def test_a_configuration_beside_the_versions_does_not_hide_the_model(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny" / "2" / "model.onnx")
    write_triton_config(model)
    assert [find_model(path) for path in (tmp_path, tmp_path / "tiny", model.parent)] == [model] * 3
