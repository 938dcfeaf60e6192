"""The loaded model: onnxruntime behind a small protocol, proven before it serves."""

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import ValidationError

from service.cpu_quota import cpu_quota
from service.errors import DeviceError, ModelFileError
from service.metadata import (
    CLASS_COUNT,
    HEIGHT,
    METADATA_KEY,
    WIDTH,
    ModelMetadata,
    Strip,
    sha256_of,
)
from service.rle import decode

Device = Literal["auto", "cpu", "cuda", "tensorrt"]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

_INPUT = ("image", "tensor(uint8)", [HEIGHT, WIDTH])
_OUTPUTS = (
    ("class_probability", "tensor(float)", [CLASS_COUNT]),
    ("mask_probability", "tensor(uint8)", [CLASS_COUNT, WIDTH, HEIGHT]),
)


class Probabilities(NamedTuple):
    """What the model answers for one strip."""

    classes: npt.NDArray[np.float32]
    """float32 ``[4]``: probability that the strip holds a defect of the class."""
    masks: npt.NDArray[np.uint8]
    """uint8 ``[4, 1600, 256]``: 255 x probability of each pixel, column-major."""


class Session(Protocol):
    """Whatever answers strips with probabilities."""

    @property
    def metadata(self) -> ModelMetadata:
        """What the model says of itself."""
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
        """Why it is not the provider that was hoped for, if it is not."""
        ...

    @property
    def max_parallel_runs(self) -> int:
        """Threads that may call ``infer`` at the same time, and gain from it."""
        ...

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Answer every strip, in order. Blocking; from ``max_parallel_runs`` threads at most."""
        ...


class OrtSession:
    """A model file in onnxruntime on one device.

    Args:
        path: the ONNX file.
        device: where to run; ``open_session`` also takes ``auto``.
        threads: processors for one inference on the CPU; None takes the container's quota.
        max_batch_size: strips in one call at most; None takes 1 on the CPU, 16 on a GPU. Calls run in
            fixed sizes (1, 2, 4, ... and this one) filled up with black strips, so that memory does not
            grow with new shapes.
        fallback_reason: why this is not the device that was hoped for.

    Raises:
        ModelFileError: if the file is missing, broken, of another contract or without metadata.
        DeviceError: if the device does not work here.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Literal["cpu", "cuda", "tensorrt"] = "cpu",
        threads: int | None = None,
        max_batch_size: int | None = None,
        fallback_reason: str | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelFileError(f"there is no model file at {path}")
        self.sha256 = sha256_of(path)
        self.fallback_reason = fallback_reason
        threads = threads or cpu_quota()
        self._session = _open_cpu(path, threads) if device == "cpu" else _open_gpu(path, device, threads)
        self.provider: str = self._session.get_providers()[0]
        self.metadata = _read_metadata(self._session, path)
        _check_contract(self._session, path)
        # On a CPU a batch takes as long as its strips one by one; on a GPU it does not.
        self.batch_sizes = batch_sizes(max_batch_size or (1 if self.provider == CPU else 16))
        # onnxruntime's own threads scale worse than strips side by side: docs/adr/0010.
        self.max_parallel_runs = max(1, cpu_quota() // threads) if self.provider == CPU else 1

    def infer(self, strips: Sequence[Strip]) -> list[Probabilities]:
        """Answer every strip, in order; see ``Session.infer``."""
        answers: list[Probabilities] = []
        largest = self.batch_sizes[-1]
        for start in range(0, len(strips), largest):
            answers.extend(self._infer_batch(strips[start : start + largest]))
        return answers

    def warm_up(self) -> None:
        """Run every batch size once, so that no request pays for first-run work."""
        for size in self.batch_sizes:
            self._run(np.zeros((size, HEIGHT, WIDTH), dtype=np.uint8))

    def _infer_batch(self, strips: Sequence[Strip]) -> list[Probabilities]:
        size = next(size for size in self.batch_sizes if size >= len(strips))
        images = np.zeros((size, HEIGHT, WIDTH), dtype=np.uint8)
        for row, strip in enumerate(strips):
            images[row] = strip
        classes, masks = self._run(images)
        return [Probabilities(classes[row], masks[row]) for row in range(len(strips))]

    def _run(self, images: npt.NDArray[np.uint8]) -> Any:
        names = [name for name, _, _ in _OUTPUTS]
        return self._session.run(names, {_INPUT[0]: images})


def prove(session: Session) -> None:
    """Run the golden strip and compare with the answer stored in the model file.

    Raises:
        ModelFileError: if a class probability differs by more than 0.05 or more than 1 pixel in
            1,000 of a mask differs: more than float16 and int8 arithmetic explain.
    """
    golden = session.metadata.golden
    point = session.metadata.profiles[0]
    classes, masks = session.infer([golden.strip()])[0]
    for index in range(CLASS_COUNT):
        difference = abs(float(classes[index]) - golden.class_probability[index])
        expected = decode(golden.rle[index], height=HEIGHT, width=WIDTH)
        agreement = float(np.mean((masks[index] >= point.byte_threshold(index)) == expected))
        # Written so that a NaN fails too.
        if not (difference <= 0.05 and agreement >= 0.999):
            raise ModelFileError(
                f"the golden strip is answered wrongly for class {index + 1} on {session.provider}: "
                f"probability differs by {difference:.3f}, {agreement:.4%} of the pixels agree"
            )


def batch_sizes(largest: int) -> tuple[int, ...]:
    """Return the powers of two below ``largest``, and ``largest``."""
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes) if largest <= sizes[-1] else (*sizes, largest)


def open_session(
    path: Path, *, device: Device, threads: int | None = None, max_batch_size: int | None = None
) -> OrtSession:
    """Open a model file, prove it on its golden strip and warm it up.

    ``auto`` tries CUDA and falls back to the CPU, whatever it is that does not work there; the session
    then carries the reason.

    Raises:
        ModelFileError: if the file cannot be trusted.
        DeviceError: if the wanted device does not work here.
    """

    def ready(device: Literal["cpu", "cuda", "tensorrt"], reason: str | None = None) -> OrtSession:
        session = OrtSession(
            path, device=device, threads=threads, max_batch_size=max_batch_size, fallback_reason=reason
        )
        prove(session)
        session.warm_up()
        return session

    if device != "auto":
        return ready(device)
    try:
        return ready("cuda")
    except Exception as error:  # a GPU that opens may still fail to run: no memory, no kernel for it
        return ready("cpu", f"no GPU: {error}")


def _open_cpu(path: Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        return _create(path, [CPU], threads)
    except Exception as error:
        raise ModelFileError(f"{path} cannot be loaded by onnxruntime: {error}") from error


def _open_gpu(path: Path, device: Literal["cuda", "tensorrt"], threads: int) -> onnxruntime.InferenceSession:
    """Open on a GPU provider and believe only what the session itself reports.

    onnxruntime lists providers that were compiled in, and falls back to the CPU with nothing but a
    warning when CUDA's libraries are missing.
    """
    wanted = [TENSORRT, CUDA] if device == "tensorrt" else [CUDA]
    if wanted[0] not in onnxruntime.get_available_providers():
        raise DeviceError(
            "the installed onnxruntime is built for the CPU only; install the 'gpu' extra instead of 'cpu'"
        )
    onnxruntime.preload_dlls()
    if device == "tensorrt":
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorrt")  # loads libnvinfer from its own wheel
    try:
        session = _create(path, [*wanted, CPU], threads)
    except Exception as error:  # the binding raises its own RuntimeError kinds per missing library
        raise DeviceError(f"device={device} does not work here: {error}") from error
    if session.get_providers()[0] != wanted[0]:
        raise DeviceError(
            f"device={device} does not work here: the session reports {session.get_providers()}; the driver "
            "or the CUDA, cuDNN or TensorRT libraries were not found"
        )
    return session


def _create(path: Path, providers: list[str], threads: int) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # EXHAUSTIVE measures every algorithm anew for each shape, seconds at a time, for no gain in
    # steady state; kSameAsRequested keeps the arena from doubling at every growth.
    cuda = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    return onnxruntime.InferenceSession(
        str(path),
        options,
        providers=[(name, cuda) if name == CUDA else name for name in providers],
        enable_fallback=0,  # or a failing run would go on on the CPU without a word
    )


def _read_metadata(session: onnxruntime.InferenceSession, path: Path) -> ModelMetadata:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path} carries no {METADATA_KEY!r} metadata; export it with `python -m model_export export`"
        )
    try:
        return ModelMetadata.model_validate_json(text)
    except ValidationError as error:
        raise ModelFileError(f"the metadata of {path} is not understood: {error}") from error


def _check_contract(session: onnxruntime.InferenceSession, path: Path) -> None:
    found = [
        [(node.name, node.type, list(node.shape[1:])) for node in nodes]
        for nodes in (session.get_inputs(), session.get_outputs())
    ]
    wanted = [[_INPUT], list(_OUTPUTS)]
    if found != wanted:
        raise ModelFileError(f"{path} has inputs and outputs {found}; {wanted} are wanted")
