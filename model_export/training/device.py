"""The device and the floating-point precision of a training."""

from contextlib import AbstractContextManager

import torch

from model_export.errors import OptionError, TrainingError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device of this name; ``auto`` takes a GPU if there is one.

    Raises:
        OptionError: if torch knows no such device.
        TrainingError: if this machine has none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"--device: expected auto, cpu, cuda or cuda:NUMBER, got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        why = "" if torch.version.cuda else "; the installed torch is built for the CPU only"
        raise TrainingError(f"--device {name}: expected a GPU of this machine, got {count} GPUs{why}")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype of this name; ``auto`` takes bf16 where the hardware computes it, else fp32."""
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bf16 = torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_bf16 else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which torch computes in this precision."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
