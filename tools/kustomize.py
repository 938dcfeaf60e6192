"""A small ``kubectl kustomize`` for ``deploy/kubernetes``, for machines without kubectl.

It supports only what these files use and raises on anything else. If kubectl is installed,
tests/deploy/test_kubernetes.py compares the two. Names of ConfigMaps and Secrets do not get the suffix of
their content.
"""

import base64
import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_KINDS = {"Kustomization", "Component"}
_CLUSTER_WIDE = {"Namespace"}
_FIELDS = {"apiVersion", "kind", "resources", "components", "namespace", "images", "patches"} | {
    "configMapGenerator",
    "secretGenerator",
}


class KustomizeError(Exception):
    """A kustomization that cannot be built or uses an unsupported feature."""


def build(folder: Path) -> list[Manifest]:
    """Build the objects of the kustomization in a folder.

    Raises:
        KustomizeError: naming the file and the problem.
    """
    return _apply(folder, [])


def _apply(folder: Path, objects: list[Manifest]) -> list[Manifest]:
    """Apply a kustomization or component to the objects before it."""
    path = folder / "kustomization.yaml"
    if not path.is_file():
        raise KustomizeError(f"{path}: no such file")
    kustomization = yaml.safe_load(path.read_text())
    unknown = kustomization.keys() - _FIELDS
    if unknown or kustomization.get("kind") not in _KINDS:
        raise KustomizeError(f"{path}: not supported: {sorted(unknown) or kustomization.get('kind')}")
    for name in kustomization.get("resources", ()):
        objects = objects + _resource(folder / name)
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in kustomization.get(key, ()):
            objects = _generate(folder, kind, generator, objects)
    for name in kustomization.get("components", ()):
        objects = _apply(folder / name, objects)
    for patch in kustomization.get("patches", ()):
        _patch(folder / patch["path"], patch["target"], objects)
    if "namespace" in kustomization:
        _set_namespace(kustomization["namespace"], objects)
    for image in kustomization.get("images", ()):
        _set_image(image, objects)
    names = [(found["kind"], found["metadata"]["name"]) for found in objects]
    if len(set(names)) < len(names):
        raise KustomizeError(f"{path}: the same object twice: {sorted(names)}")
    return objects


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return build(path)
    if not path.is_file():
        raise KustomizeError(f"{path}: no such file")
    # The copy through JSON separates dictionaries that YAML anchors share.
    return [json.loads(json.dumps(found)) for found in yaml.safe_load_all(path.read_text()) if found]


def _generate(folder: Path, kind: str, generator: Manifest, objects: list[Manifest]) -> list[Manifest]:
    """Create a ConfigMap or Secret, or change the existing one."""
    data = dict(text.split("=", 1) for text in generator.get("literals", ()))
    for entry in generator.get("files", ()):
        key, _, name = entry.rpartition("=")
        path = folder / name
        if not path.is_file():
            raise KustomizeError(f"{path}: no such file")
        data[key or path.name] = path.read_text()
    if kind == "Secret":
        data = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    named = [found for found in objects if _matches({"kind": kind, "name": generator["name"]}, found)]
    behavior = generator.get("behavior", "create")
    if (behavior == "create") == bool(named):
        raise KustomizeError(f"{folder}: {behavior} {kind} {generator['name']}: there are {len(named)}")
    if behavior == "create":
        new = {"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, "data": data}
        return [*objects, new | ({"type": "Opaque"} if kind == "Secret" else {})]
    for found in named:
        found["data"] = found["data"] | data if behavior == "merge" else data
    return objects


def _matches(target: Manifest, found: Manifest) -> bool:
    return (found["kind"], found["metadata"]["name"]) == (target["kind"], target["name"])


def _patch(path: Path, target: Manifest, objects: Iterable[Manifest]) -> None:
    """Apply a JSON patch (RFC 6902) to the object of its target."""
    named = [found for found in objects if _matches(target, found)]
    if len(named) != 1:
        raise KustomizeError(f"{path}: expected one object {target}, got {len(named)}")
    for operation in yaml.safe_load(path.read_text()):
        *parents, last = operation["path"].lstrip("/").split("/")
        parent: Any = named[0]
        try:
            for part in parents:
                parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        except (KeyError, IndexError) as error:
            raise KustomizeError(f"{path}: {operation['path']} does not exist") from error
        if not isinstance(parent, dict) or operation["op"] not in ("add", "replace"):
            raise KustomizeError(f"{path}: not supported: {operation}")
        if operation["op"] == "replace" and last not in parent:
            raise KustomizeError(f"{path}: {operation['path']} does not exist and cannot be replaced")
        parent[last] = copy.deepcopy(operation["value"])


def _set_namespace(namespace: str, objects: Iterable[Manifest]) -> None:
    for found in objects:
        key = "name" if found["kind"] in _CLUSTER_WIDE else "namespace"
        found["metadata"][key] = namespace


def _set_image(image: Manifest, objects: Iterable[Manifest]) -> None:
    for found in objects:
        for container in pod(found).get("containers", ()):
            name, _, tag = container["image"].rpartition(":")
            if name == image["name"]:
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def pod(found: Manifest) -> Manifest:
    """Return the pod specification of an object; empty if it has none."""
    template: Manifest = found.get("spec", {}).get("template", {})
    spec: Manifest = template.get("spec", {})
    return spec
