"""Open models with onnxruntime's execution providers, and check that the provider works."""

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
    """Options of a GPU session."""

    graphs: bool = False
    """Capture a CUDA graph for each batch size and replay it."""
    engine_cache: Path | None = None
    """Folder of TensorRT's engines and timings; they fit one GPU model, driver and TensorRT version only."""


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
    """Open a model on the CPU with Intel's OpenVINO, which the ``openvino`` extra installs.

    By default OpenVINO runs one inference at a time; ``streams`` run in parallel, each on ``threads``
    processors.

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
        # OpenVINO needs the graph as exported, not as fused by onnxruntime.
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
    """Open a model on a GPU, and trust only the provider that the session reports.

    onnxruntime lists all providers that it was built with, and falls back to the CPU with only a warning if
    CUDA's libraries are missing.

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
        providers.insert(0, (TENSORRT, tensorrt_options(options, max_batch_size, _tile(file))))
    try:
        session = _create(file, providers, threads)
    except Exception as error:  # each missing library raises another kind of RuntimeError
        raise DeviceError(f"device={device} does not work here: {error}") from error
    if session.get_providers()[0] != wanted:
        raise DeviceError(
            f"device={device} does not work here: the session reports {session.get_providers()}; the driver "
            "or the CUDA, cuDNN or TensorRT libraries were not found"
        )
    return session


def cuda_options(options: GpuOptions) -> dict[str, str]:
    """Return the options of the CUDA provider.

    EXHAUSTIVE measures every algorithm again for each shape, which takes seconds and gains nothing in steady
    state; kSameAsRequested keeps the arena from doubling whenever it grows.
    """
    return {
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if options.graphs else "0",
    }


def _tile(file: ModelFile) -> tuple[int, int]:
    """Return rows and columns of a model's input."""
    height, width = _create(file, [CPU], 1, optimize=False).get_inputs()[0].shape[1:]
    return height, width


def tensorrt_options(options: GpuOptions, max_batch_size: int, tile: tuple[int, int]) -> dict[str, str]:
    """Return the options of the TensorRT provider: one engine for all batch sizes, kept on disk.

    Building takes tens of seconds and happens again for a shape outside the profile, so the profile spans
    all sizes.

    Args:
        options: of a GPU.
        max_batch_size: tiles in one call at most.
        tile: rows and columns of the model's input.
    """
    shapes = {"min": 1, "opt": max_batch_size, "max": max_batch_size}
    settings = {
        f"trt_profile_{name}_shapes": f"image:{size}x{tile[0]}x{tile[1]}" for name, size in shapes.items()
    }
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
    # The checksum does not cover weights in other files, so onnxruntime gets no folder to read them from.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions, which our own log records
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        file.data,
        options,
        providers=providers,
        enable_fallback=0,  # a failing run must not continue silently on the CPU
    )
