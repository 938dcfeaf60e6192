"""Options of the execution providers."""

from pathlib import Path

from service.model.providers import GpuOptions, _tile, cuda_options, tensorrt_options
from service.model.repository import read_model
from tests.support.mill import write_mill_model


def test_tensorrt_is_told_every_shape_and_where_engines_are(tmp_path: Path) -> None:
    options = tensorrt_options(GpuOptions(engine_cache=tmp_path), max_batch_size=16, tile=(256, 1600))
    assert options["trt_profile_min_shapes"] == "image:1x256x1600"
    assert options["trt_profile_max_shapes"] == "image:16x256x1600"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_path" not in tensorrt_options(GpuOptions(), 16, (256, 1600))


def test_cuda_graphs_are_asked_for() -> None:
    assert cuda_options(GpuOptions(graphs=True))["enable_cuda_graph"] == "1"
    assert cuda_options(GpuOptions())["enable_cuda_graph"] == "0"
    assert tensorrt_options(GpuOptions(graphs=True), 4, (64, 96))["trt_cuda_graph_enable"] == "1"


def test_the_shape_is_the_models(tmp_path: Path) -> None:
    file = read_model(write_mill_model(tmp_path / "1" / "model.onnx"))
    assert _tile(file) == (64, 96)
