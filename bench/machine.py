"""Description of the machine and the software of a measurement."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.model.cpu_quota import cpu_quota
from service.model.repository import read_model
from tests.support.serving import ROOT

_PACKAGES = (
    "aiohttp",
    "fastapi",
    "numpy",
    "onnxruntime",
    "pillow",
    "pydantic",
    "starlette",
    "uvicorn",
    "uvloop",
)
_BUSY = 0.3


@dataclass(frozen=True)
class Machine:
    """Machine, versions and model of a measurement."""

    date: str
    cpu: str
    cores: int
    """Cores of the machine."""
    cpu_quota: int
    """Cores that this process may use."""
    memory_gb: float
    load_before: float
    """Load average of the minute before; other work makes every number worse."""
    versions: dict[str, str]
    commit: str
    """Git commit, with "+" if files differ from it."""
    model: str
    model_sha256: str

    @property
    def busy(self) -> bool:
        """Whether other work was running."""
        return self.load_before > _BUSY


def describe_machine(model: Path, environments: Path) -> Machine:
    """Return the description of this machine.

    Args:
        model: the ONNX file.
        environments: folder of the peers' environments.
    """
    return Machine(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        cpu_quota=cpu_quota(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        load_before=os.getloadavg()[0],
        versions={
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
            **_peer_versions(environments),
        },
        commit=_commit(),
        model=str(model),
        model_sha256=read_model(model).sha256,
    )


def stolen_seconds() -> float:
    """Return the steal time: CPU seconds that other machines on the host took, if the kernel reports it."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _peer_versions(environments: Path) -> dict[str, str]:
    versions = {}
    for environment in sorted(path for path in environments.glob("*") if path.is_dir()):
        packages = [str(path) for path in environment.glob("lib/python*/site-packages")]
        for package in importlib.metadata.distributions(path=packages):
            if package.name.lower() == environment.name:
                versions[package.name] = package.version
    return versions


def _commit() -> str:
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + ("+" if changes.strip() else "")
