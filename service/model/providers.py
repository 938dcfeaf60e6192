"""onnxruntime's execution providers: how each is opened, and what proves that it works."""

import contextlib
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime

from service.errors import DeviceError, ModelFileError
from service.model.repository import ModelFile

CPU = "CPUExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

GpuDevice = Literal["cuda", "tensorrt"]


@dataclass(frozen=True, slots=True)
class GpuOptions:
    """What a GPU session is opened with."""

    graphs: bool = False
    """Capture a CUDA graph for each batch size and replay it."""
    engine_cache: Path | None = None
    """Where TensorRT keeps engines and timings; they fit one GPU model, driver and TensorRT only."""


def open_cpu(file: ModelFile, threads: int) -> onnxruntime.InferenceSession:
    """Open a model on the CPU.

    Raises:
        ModelFileError: if onnxruntime cannot load it.
    """
    try:
        return _create(file, [CPU], threads)
    except Exception as error:
        raise ModelFileError(f"{file.path} cannot be loaded by onnxruntime: {error}") from error


def open_openvino(file: ModelFile, threads: int, streams: int) -> onnxruntime.InferenceSession:
    """Open a model on the CPU with Intel's OpenVINO, which the ``openvino`` extra brings.

    It would run one inference at a time; ``streams`` run side by side, on ``threads`` processors each.

    Raises:
        DeviceError: if it does not work here.
    """
    if OPENVINO not in onnxruntime.get_available_providers():
        raise DeviceError(
            "the installed onnxruntime is built without OpenVINO; "
            "install the 'openvino' extra instead of 'cpu'"
        )
    options = {
        "device_type": "CPU",
        "num_of_threads": str(threads * streams),
        "num_streams": str(streams),
    }
    try:
        # OpenVINO wants the graph as it was written, not as onnxruntime has fused it.
        session = _create(file, [(OPENVINO, options), CPU], threads, optimize=False)
    except Exception as error:
        raise DeviceError(f"device=openvino does not work here: {error}") from error
    if session.get_providers()[0] != OPENVINO:
        raise DeviceError(
            f"device=openvino does not work here: the session reports {session.get_providers()}"
        )
    return session


def open_gpu(
    file: ModelFile, device: GpuDevice, threads: int, max_batch_size: int, options: GpuOptions
) -> onnxruntime.InferenceSession:
    """Open on a GPU provider and believe only what the session itself reports.

    onnxruntime lists providers that were compiled in, and falls back to the CPU with nothing but a
    warning when CUDA's libraries are missing.

    Raises:
        DeviceError: if the provider does not work here.
    """
    wanted = TENSORRT if device == "tensorrt" else CUDA
    if wanted not in onnxruntime.get_available_providers():
        raise DeviceError(
            "the installed onnxruntime is built for the CPU only; install the 'gpu' extra instead of 'cpu'"
        )
    onnxruntime.preload_dlls()
    providers: list[Any] = [(CUDA, cuda_options(options)), CPU]
    if device == "tensorrt":
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorrt")  # loads libnvinfer from its own wheel
        providers.insert(0, (TENSORRT, tensorrt_options(options, max_batch_size)))
    try:
        session = _create(file, providers, threads)
    except Exception as error:  # the binding raises its own RuntimeError kinds per missing library
        raise DeviceError(f"device={device} does not work here: {error}") from error
    if session.get_providers()[0] != wanted:
        raise DeviceError(
            f"device={device} does not work here: the session reports {session.get_providers()}; the driver "
            "or the CUDA, cuDNN or TensorRT libraries were not found"
        )
    return session


def cuda_options(options: GpuOptions) -> dict[str, str]:
    """Options of the CUDA provider.

    EXHAUSTIVE measures every algorithm anew for each shape, seconds at a time, for no gain in steady
    state; kSameAsRequested keeps the arena from doubling at every growth.
    """
    return {
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if options.graphs else "0",
    }


def tensorrt_options(options: GpuOptions, max_batch_size: int) -> dict[str, str]:
    """Options of the TensorRT provider: one engine for every batch size, kept on disk.

    Building takes tens of seconds and happens again for a shape outside the profile, so the profile spans
    all sizes.
    """
    shapes = {"min": 1, "opt": max_batch_size, "max": max_batch_size}
    settings = {f"trt_profile_{name}_shapes": f"image:{size}x256x1600" for name, size in shapes.items()}
    settings |= {"trt_fp16_enable": "1", "trt_cuda_graph_enable": "1" if options.graphs else "0"}
    if options.engine_cache is not None:
        folder = str(options.engine_cache)
        settings |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
        }
    return settings


def _create(
    file: ModelFile, providers: list[Any], threads: int, *, optimize: bool = True
) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    # Weights in other files are covered by no checksum: there is no folder in which they could lie.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is worth a line comes as an exception, and goes into our own log
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        file.data,
        options,
        providers=providers,
        enable_fallback=0,  # or a failing run would go on on the CPU without a word
    )
