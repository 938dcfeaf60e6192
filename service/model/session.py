"""A loaded model: the protocol of sessions, and its implementation with onnxruntime."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import ValidationError

from service.errors import DeviceLostError, ModelFileError
from service.geometry import Strip
from service.model.cpu_quota import cpu_quota
from service.model.io_binding import BoundRuns
from service.model.metadata import METADATA_KEY, ModelMetadata
from service.model.providers import GpuOptions, open_cpu, open_gpu, open_openvino
from service.model.repository import read_model

KnownDevice = Literal["cpu", "openvino", "cuda", "tensorrt"]
Device = KnownDevice | Literal["auto"]

CPU_DEVICES = ("cpu", "openvino")
"""Devices on which strips run in parallel, not in batches."""

_INPUT = "image"
_CLASSES, _MASKS = "class_probability", "mask_probability"


class Probabilities(NamedTuple):
    """The model's outputs for one tile."""

    classes: npt.NDArray[np.float32]
    """float32 ``[classes]``: probability that the tile holds a defect of the class."""
    masks: npt.NDArray[np.uint8]
    """uint8 ``[classes, width, height]``: 255 x probability of each pixel, column-major."""


class Session(Protocol):
    """Infers the probabilities of tiles: strips of the model's size."""

    @property
    def metadata(self) -> ModelMetadata:
        """The model file's metadata."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the model file."""
        ...

    @property
    def provider(self) -> str:
        """The execution provider that runs the model."""
        ...

    @property
    def fallback_reason(self) -> str | None:
        """The reason if it is not the preferred provider; None if it is."""
        ...

    @property
    def batches(self) -> bool:
        """Whether strips run in batches on one thread, as on a GPU, or in parallel, as on a CPU."""
        ...

    @property
    def max_parallel_runs(self) -> int:
        """Number of threads that may call ``infer`` at the same time, and gain from it."""
        ...

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Infer every strip, in order. Blocking; call it from at most ``max_parallel_runs`` threads."""
        ...


class OrtSession:
    """A model file in onnxruntime on one device.

    Args:
        path: the ONNX file.
        device: to run on; ``open_session`` also takes ``auto``.
        threads: processors for one inference on the CPU or OpenVINO; None takes the container's quota.
        max_batch_size: strips in one call at most; None takes 1 on the CPU, 16 on a GPU. Calls run in
            fixed sizes (1, 2, 4, ... and this one), padded with black strips, so that memory does not
            grow with new shapes.
        gpu: options of a GPU.
        fallback_reason: the reason if this is not the preferred device.

    Raises:
        ModelFileError: if the file is missing, differs from its checksum, is broken, has other inputs or
            outputs, or has no metadata.
        DeviceError: if the device does not work here.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: KnownDevice = "cpu",
        threads: int | None = None,
        max_batch_size: int | None = None,
        gpu: GpuOptions | None = None,
        fallback_reason: str | None = None,
    ) -> None:
        file = read_model(path)
        self.sha256 = file.sha256
        self.fallback_reason = fallback_reason
        threads = threads or cpu_quota()
        self.batches = device not in CPU_DEVICES
        # On a CPU a batch takes as long as its strips one by one; on a GPU it does not.
        self.batch_sizes = batch_sizes(max_batch_size or (16 if self.batches else 1))
        options = gpu or GpuOptions()
        if device == "tensorrt" and options.engine_cache is not None:
            # TensorRT distinguishes engines by names in the graph, which two versions of a model share.
            engines = options.engine_cache / file.sha256[:16]
            with contextlib.suppress(OSError):  # TensorRT reports what is missing
                engines.mkdir(parents=True, exist_ok=True)
            options = replace(options, engine_cache=engines)
        if device == "cpu":
            self._session = open_cpu(file, threads)
        elif device == "openvino":
            self._session = open_openvino(file, threads, max(1, cpu_quota() // threads))
        else:
            self._session = open_gpu(file, device, threads, self.batch_sizes[-1], options)
        self.provider: str = self._session.get_providers()[0]
        self.metadata = read_metadata(self._session, path)
        _check_contract(self._session, self.metadata, path)
        self._tile = (self.metadata.height, self.metadata.width)
        self._bound = (
            bind(
                self._session,
                self.metadata,
                device="cuda",
                batch_sizes=self.batch_sizes,
                graphs=options.graphs,
            )
            if self.batches
            else None
        )
        # onnxruntime's own threads scale worse than strips in parallel: docs/adr/0010.
        self.max_parallel_runs = 1 if self.batches else math.ceil(cpu_quota() / threads)

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Infer every strip, in order; see ``Session.infer``."""
        answers: list[Probabilities] = []
        largest = self.batch_sizes[-1]
        for start in range(0, len(strips), largest):
            answers.extend(self._infer_batch(strips[start : start + largest]))
        return answers

    def warm_up(self) -> None:
        """Run every batch size once, so that no request pays for the first run."""
        for size in self.batch_sizes:
            self._run(np.zeros((size, *self._tile), dtype=np.uint8))

    def _infer_batch(self, strips: Sequence[Strip]) -> list[Probabilities]:
        size = next(size for size in self.batch_sizes if size >= len(strips))
        if size == 1:
            images = strips[0][np.newaxis]
        else:
            images = np.zeros((size, *self._tile), dtype=np.uint8)
            for row, strip in enumerate(strips):
                images[row] = strip
        classes, masks = self._run(images)
        return [Probabilities(classes[row], masks[row]) for row in range(len(strips))]

    def _run(self, images: npt.NDArray[np.uint8]) -> Any:
        if self._bound is not None:
            try:
                return self._bound.run(images)
            except Exception as error:
                if _is_lost(error):
                    raise DeviceLostError(f"the GPU fails: {error}") from error
                raise
        return self._session.run([_CLASSES, _MASKS], {_INPUT: images})


def _is_lost(error: Exception) -> bool:
    """Return whether CUDA itself failed, which this process cannot recover from, and not an allocation."""
    text = str(error).lower()
    return ("cuda" in text or "cudnn" in text or "cublas" in text) and not (
        "out of memory" in text or "failed to allocate memory" in text
    )


def bind(
    session: onnxruntime.InferenceSession,
    metadata: ModelMetadata,
    *,
    device: str,
    batch_sizes: Sequence[int],
    graphs: bool,
) -> BoundRuns:
    """Bind the contract's input and outputs to memory of a device; see ``BoundRuns``."""
    classes, height, width = len(metadata.classes), metadata.height, metadata.width
    return BoundRuns(
        session,
        device=device,
        input_name=_INPUT,
        input_shape=(height, width),
        outputs={_CLASSES: ((classes,), np.float32), _MASKS: ((classes, width, height), np.uint8)},
        batch_sizes=batch_sizes,
        graphs=graphs,
    )


def batch_sizes(largest: int) -> tuple[int, ...]:
    """Return the powers of two below ``largest``, and ``largest``."""
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes) if largest <= sizes[-1] else (*sizes, largest)


def read_metadata(session: onnxruntime.InferenceSession, path: Path) -> ModelMetadata:
    """Read the metadata of a model file.

    Raises:
        ModelFileError: if it has none, or none that is understood.
    """
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path} carries no {METADATA_KEY!r} metadata; export it with `python -m model_export export`"
        )
    try:
        return ModelMetadata.model_validate_json(text)
    except ValidationError as error:
        raise ModelFileError(f"the metadata of {path} cannot be read: {error}") from error


def _check_contract(session: onnxruntime.InferenceSession, metadata: ModelMetadata, path: Path) -> None:
    classes, height, width = len(metadata.classes), metadata.height, metadata.width
    found = [
        [(node.name, node.type, list(node.shape[1:])) for node in nodes]
        for nodes in (session.get_inputs(), session.get_outputs())
    ]
    expected = [
        [(_INPUT, "tensor(uint8)", [height, width])],
        [(_CLASSES, "tensor(float)", [classes]), (_MASKS, "tensor(uint8)", [classes, width, height])],
    ]
    if found != expected:
        raise ModelFileError(f"{path}: expected inputs and outputs {expected} by its metadata, got {found}")
