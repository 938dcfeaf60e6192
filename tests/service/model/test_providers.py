"""Options of the execution providers."""

from pathlib import Path

from service.model.providers import GpuOptions, cuda_options, tensorrt_options


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
