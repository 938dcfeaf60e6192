"""What can be said of other devices without them: bindings on the CPU device, options, refusals."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service import build_engines
from service.errors import DeviceError
from service.model.io_binding import BoundRuns
from service.model.providers import OPENVINO, GpuOptions, cuda_options, open_cpu, tensorrt_options
from service.model.repository import GPU_MODEL, gpu_variant, read_model
from service.model.session import bind, open_session
from tests.support.tiny_model import block_strip

GPU_BUILD = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def bound_runs(path: Path, sizes: tuple[int, ...]) -> BoundRuns:
    return bind(open_cpu(read_model(path), threads=1), device="cpu", batch_sizes=sizes, graphs=False)


def test_bound_runs_answer_as_plain_ones_and_answers_outlive_the_next_run(tiny_model: Path) -> None:
    plain, bound = open_cpu(read_model(tiny_model), threads=1), bound_runs(tiny_model, (1, 2))
    seen: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
    for size in (1, 2, 1, 2):
        number = len(seen)
        images = np.stack([block_strip(c1=(10 * number + row, 5, 3, 4)) for row in range(size)])
        names = ["class_probability", "mask_probability"]
        seen.append((bound.run(images), plain.run(names, {"image": images})))
    for found, expected in seen:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_size_that_was_not_prepared_is_a_bug(tiny_model: Path) -> None:
    with pytest.raises(KeyError):
        bound_runs(tiny_model, (1, 2)).run(np.zeros((3, 256, 1600), dtype=np.uint8))


def test_tensorrt_is_told_every_shape_and_where_engines_are(tmp_path: Path) -> None:
    options = tensorrt_options(GpuOptions(engine_cache=tmp_path), max_batch_size=16)
    assert options["trt_profile_min_shapes"] == "image:1x256x1600"
    assert options["trt_profile_max_shapes"] == "image:16x256x1600"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_path" not in tensorrt_options(GpuOptions(), max_batch_size=16)


def test_cuda_graphs_are_asked_for() -> None:
    assert cuda_options(GpuOptions(graphs=True))["enable_cuda_graph"] == "1"
    assert cuda_options(GpuOptions())["enable_cuda_graph"] == "0"
    assert tensorrt_options(GpuOptions(graphs=True), 4)["trt_cuda_graph_enable"] == "1"


def test_the_file_for_gpus_is_taken_where_there_is_one(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    assert gpu_variant(model) == model
    (tmp_path / GPU_MODEL).touch()
    assert gpu_variant(model) == tmp_path / GPU_MODEL


@pytest.mark.skipif(OPENVINO in onnxruntime.get_available_providers(), reason="OpenVINO is installed")
def test_openvino_is_insisted_on(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="install the 'openvino' extra"):
        open_session(tiny_model, device="openvino")


@pytest.mark.skipif(OPENVINO not in onnxruntime.get_available_providers(), reason="OpenVINO is not installed")
def test_openvino_proves_itself_and_runs_strips_side_by_side(tiny_model: Path) -> None:
    session = open_session(tiny_model, device="openvino", threads=1)
    assert session.provider == OPENVINO
    assert session.batch_sizes == (1,)


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({}, 2, "STEEL_ENGINE_CACHE names the folder"),
        ({"STEEL_PORT": "x"}, 2, "error: STEEL_PORT"),
        pytest.param(
            {"STEEL_ENGINE_CACHE": "engines"},
            1,
            "built for the CPU only",
            marks=pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA"),
        ),
    ],
)
def test_building_engines_says_what_is_missing(
    settings: dict[str, str],
    code: int,
    message: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEEL_MODEL", str(tiny_model))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert build_engines.main() == code
    assert message in capsys.readouterr().err
