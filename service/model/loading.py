"""Open a model file, prove it on its golden strip, and warm it up."""

from pathlib import Path

import numpy as np

from service.errors import ModelFileError
from service.masks.rle import decode
from service.model.postprocess import byte_threshold
from service.model.providers import CPU, OPENVINO, GpuOptions
from service.model.repository import gpu_variant, read_model
from service.model.session import CPU_DEVICES, Device, KnownDevice, OrtSession, Session


def open_session(
    path: Path,
    *,
    device: Device,
    threads: int | None = None,
    max_batch_size: int | None = None,
    gpu: GpuOptions | None = None,
) -> OrtSession:
    """Open a model file, prove it on its golden strip and warm it up.

    On a GPU, the file for GPUs beside it is opened instead, if there is one. ``auto`` tries CUDA and falls
    back to the CPU on any error there; the session then carries the reason.

    Raises:
        ModelFileError: if the file cannot be trusted.
        DeviceError: if the device does not work here.
    """

    def ready(device: KnownDevice, reason: str | None = None) -> OrtSession:
        session = OrtSession(
            path if device in CPU_DEVICES else gpu_variant(path),
            device=device,
            threads=threads,
            max_batch_size=max_batch_size,
            gpu=gpu,
            fallback_reason=reason,
        )
        prove(session)
        session.warm_up()
        return session

    if device != "auto":
        return ready(device)
    try:
        return ready("cuda")
    except Exception as error:  # a GPU that opens may still fail to run: out of memory, no kernel for it
        return ready("cpu", f"no GPU: {error}")


def serves(session: Session, path: Path) -> bool:
    """Return whether a session runs the file that is at ``path`` now, or the one for GPUs beside it.

    Raises:
        ModelFileError: if that file differs from its checksum.
    """
    file = path if session.provider in (CPU, OPENVINO) else gpu_variant(path)
    return read_model(file).sha256 == session.sha256


def prove(session: Session) -> None:
    """Run the golden strip and compare the outputs with those stored in the model file.

    Raises:
        ModelFileError: if the golden strip cannot be read, a class probability differs by more than 0.05,
            or more than 1 pixel in 1,000 of a mask differs: more than float16 and int8 arithmetic explain.
    """
    metadata = session.metadata
    golden, point = metadata.golden, metadata.profiles[0]
    height, width = metadata.height, metadata.width
    try:
        strip = golden.strip()
        expected = [decode(code, height=height, width=width) for code in golden.rle]
    except (OSError, ValueError) as error:
        raise ModelFileError(f"the golden strip cannot be read: {error}") from error
    if strip.shape != (height, width):
        raise ModelFileError(f"the golden strip cannot be read: its shape is {strip.shape}")
    classes, masks = session.infer([strip])[0]
    for index, kind in enumerate(metadata.classes):
        difference = abs(float(classes[index]) - golden.class_probability[index])
        mask = masks[index] >= byte_threshold(point.threshold[index])
        agreement = float(np.mean(mask == expected[index]))
        # Written so that a NaN fails too.
        if not (difference <= 0.05 and agreement >= 0.999):
            raise ModelFileError(
                f"the golden strip is answered wrongly for class {kind.id} on {session.provider}: "
                f"probability differs by {difference:.3f}, {agreement:.4%} of the pixels agree"
            )
