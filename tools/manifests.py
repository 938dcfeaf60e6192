"""``python -m tools.manifests``: validate ``deploy/kubernetes`` against Kubernetes' schemas.

Schemas know fields and types; tests/deploy/test_kubernetes.py checks names, ports and settings against the
service.
"""

import sys
from pathlib import Path

import kubernetes_validate

from tools.audit import ROOT
from tools.kustomize import KustomizeError, Manifest, build

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.parent for path in FOLDER.glob("overlays/*/kustomization.yaml"))

VERSIONS = ("1.30", "1.37")
"""The first version with ``preStop.sleep``, and the newest with available schemas."""

WITHOUT_SCHEMA = {("keda.sh/v1alpha1", "ScaledObject"), ("monitoring.coreos.com/v1", "ServiceMonitor")}
"""Custom resources of KEDA and the Prometheus operator."""


def problem(found: Manifest, version: str) -> str | None:
    """Return how an object violates the schema; None if it is valid."""
    name = f"{found['kind']} {found['metadata']['name']}"
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{name}, Kubernetes {version}: {place}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        if (found["apiVersion"], found["kind"]) not in WITHOUT_SCHEMA:
            return f"{name}, Kubernetes {version}: {found['apiVersion']} has no {found['kind']}"
    return None


def problems(folder: Path) -> list[str]:
    """Build the kustomization in a folder; return its problems."""
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
        for line in found or [f"valid for Kubernetes {' and '.join(VERSIONS)}"]:
            print(f"kubernetes: {folder.name}: {line}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
