"""``python -m tools.manifests``: does ``deploy/kubernetes`` fit Kubernetes' schemas? ``make check`` asks.

A schema knows fields and types. That names, ports and settings are those of the service is asked by
tests/deploy/test_kubernetes.py.
"""

import sys
from pathlib import Path

import kubernetes_validate

from tools.audit import ROOT
from tools.kustomize import KustomizeError, Manifest, build

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.parent for path in FOLDER.glob("overlays/*/kustomization.yaml"))

VERSIONS = ("1.30", "1.37")
"""The first with a pause before the stop (``preStop.sleep``), and the newest whose schemas are at hand."""

WITHOUT_SCHEMA = {("keda.sh/v1alpha1", "ScaledObject"), ("monitoring.coreos.com/v1", "ServiceMonitor")}
"""Kinds that KEDA and the Prometheus operator bring."""


def problem(found: Manifest, version: str) -> str | None:
    """Say what does not fit the schema, or None."""
    name = f"{found['kind']} {found['metadata']['name']}"
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{name}, Kubernetes {version}: {place}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        if (found["apiVersion"], found["kind"]) not in WITHOUT_SCHEMA:
            return f"{name}, Kubernetes {version}: there is no {found['kind']} in {found['apiVersion']}"
    return None


def problems(folder: Path) -> list[str]:
    """Build the kustomization in a folder; return what is wrong with it."""
    try:
        objects = build(folder)
    except KustomizeError as error:
        return [str(error)]
    said = [problem(found, version) for version in VERSIONS for found in objects]
    return [text for text in said if text is not None]


def main() -> int:
    """Check every overlay; return the exit code."""
    failed = False
    for folder in OVERLAYS:
        found = problems(folder)
        failed |= bool(found)
        for line in found or [f"fits Kubernetes {' and '.join(VERSIONS)}"]:
            print(f"kubernetes: {folder.name}: {line}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
