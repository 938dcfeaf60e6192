"""Loading a model: each kind of bad file is refused with its reason; so is a device that is not there."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from service.errors import DeviceError
from service.model.loading import open_session
from service.model.metadata import Golden, png_base64
from service.model.providers import CPU, OPENVINO
from service.model.repository import read_model, write_checksum
from service.model.session import Device
from tests.support.loading import refusal
from tests.support.tiny_model import (
    TILE,
    VALUES,
    tiny_graph,
    tiny_metadata,
    write_model,
    write_tiny_model,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


def golden(**changes: object) -> str:
    metadata = tiny_metadata()
    changed: Golden = metadata.golden.model_copy(update=changes)
    return metadata.model_copy(update={"golden": changed}).model_dump_json()


def test_a_good_file_is_served(model: Path) -> None:
    assert open_session(model, device="cpu", threads=1).sha256 == read_model(model).sha256


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
    "text", ["{}", "no json", tiny_metadata().model_copy(update={"height": 100}).model_dump_json()]
)
def test_foreign_metadata(tmp_path: Path, text: str) -> None:
    assert "cannot be read" in refusal(write_model(tmp_path / "m.onnx", tiny_graph(), text))


def test_another_contract(tmp_path: Path) -> None:
    graph = tiny_graph()
    graph.graph.output.reverse()
    onnx.checker.check_model(graph)
    path = write_model(tmp_path / "m.onnx", graph, tiny_metadata().model_dump_json())
    assert "expected inputs and outputs" in refusal(path)


@pytest.mark.parametrize(
    ("values", "tile"), [((50, 100, 150), TILE), ((50, 100, 150, 200, 250), TILE), (VALUES, (256, 1568))]
)
def test_metadata_of_other_classes_or_of_another_tile(
    tmp_path: Path, values: tuple[int, ...], tile: tuple[int, int]
) -> None:
    metadata = tiny_metadata(values=values, tile=tile)
    path = write_model(tmp_path / "m.onnx", tiny_graph(), metadata.model_dump_json())
    assert "by its metadata, got [[('image', 'tensor(uint8)', [256, 1600])]" in refusal(path)


@pytest.mark.parametrize("count", [1, 2, 7, 32])
@pytest.mark.parametrize("tile", [(32, 32), (256, 1600), (640, 96)])
def test_any_classes_and_any_tile(tmp_path: Path, count: int, tile: tuple[int, int]) -> None:
    path = write_tiny_model(tmp_path / "m.onnx", values=range(7, 7 * count + 1, 7), tile=tile)
    session = open_session(path, device="cpu", threads=1)
    classes, masks = session.infer([session.metadata.golden.strip()])[0]
    assert classes.shape == (count,)
    assert masks.shape == (count, tile[1], tile[0])


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


@pytest.mark.skipif(OPENVINO in onnxruntime.get_available_providers(), reason="OpenVINO is installed")
def test_openvino_is_insisted_on(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="install the 'openvino' extra"):
        open_session(tiny_model, device="openvino")


@pytest.mark.skipif(OPENVINO not in onnxruntime.get_available_providers(), reason="OpenVINO is not installed")
def test_openvino_proves_itself_and_runs_strips_side_by_side(tiny_model: Path) -> None:
    session = open_session(tiny_model, device="openvino", threads=1)
    assert session.provider == OPENVINO
    assert session.batch_sizes == (1,)


GPU_BUILD = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA")
def test_auto_falls_back_to_the_cpu_and_says_why(tiny_model: Path) -> None:
    session = open_session(tiny_model, device="auto")
    assert session.provider == CPU
    assert session.fallback_reason is not None
    assert "built for the CPU only" in session.fallback_reason


@pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_insisted_on_refuses_to_start(tiny_model: Path, device: Device) -> None:
    with pytest.raises(DeviceError, match="built for the CPU only"):
        open_session(tiny_model, device=device)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the GPU build of onnxruntime on a machine without a driver: CUDA is listed and not used."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers, **_: real(path, options, providers=[CPU]),
    )


@pytest.mark.usefixtures("pretended_gpu")
def test_only_what_the_session_reports_counts(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="were not found"):
        open_session(tiny_model, device="cuda")
    reason = open_session(tiny_model, device="auto").fallback_reason
    assert reason is not None
    assert "the session reports ['CPUExecutionProvider']" in reason


@pytest.mark.usefixtures("pretended_gpu")
def test_a_gpu_that_opens_but_cannot_run_falls_back_too(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession

    class Broken:
        def __init__(self, *arguments: object) -> None:
            self.session = real(*arguments)

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

        def __getattr__(self, name: str) -> object:
            return getattr(self.session, name)

    def create(path: str, options: object, providers: list[object], **_: object) -> object:
        return Broken(path, options, [CPU]) if len(providers) > 1 else real(path, options, [CPU])

    class BrokenRuns:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self, *_: object) -> object:
            raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    monkeypatch.setattr("service.model.session.BoundRuns", BrokenRuns)
    session = open_session(tiny_model, device="auto")
    assert session.provider == CPU
    assert session.fallback_reason is not None
    assert "no kernel image" in session.fallback_reason
    with pytest.raises(RuntimeError, match="no kernel image"):
        open_session(tiny_model, device="cuda")
