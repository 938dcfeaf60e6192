"""What ``kubectl kustomize`` makes of ``deploy/kubernetes``, for machines without it.

Only what these files use; anything else raises. Where kubectl is at hand, tests/deploy/test_kubernetes.py
holds this against it. Names of ConfigMaps and Secrets do not get the suffix of their content.
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
    """A kustomization that cannot be built, or uses something that is not known here."""


def build(folder: Path) -> list[Manifest]:
    """Return the objects that the kustomization in a folder stands for.

    Raises:
        KustomizeError: with the file and what is wrong.
    """
    return _apply(folder, [])


def _apply(folder: Path, objects: list[Manifest]) -> list[Manifest]:
    """Add a kustomization, or a component, to the objects that came before it."""
    path = folder / "kustomization.yaml"
    if not path.is_file():
        raise KustomizeError(f"{path}: no such file")
    wanted = yaml.safe_load(path.read_text())
    unknown = wanted.keys() - _FIELDS
    if unknown or wanted.get("kind") not in _KINDS:
        raise KustomizeError(f"{path}: not known here: {sorted(unknown) or wanted.get('kind')}")
    for name in wanted.get("resources", ()):
        objects = objects + _resource(folder / name)
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in wanted.get(key, ()):
            objects = _generate(folder, kind, generator, objects)
    for name in wanted.get("components", ()):
        objects = _apply(folder / name, objects)
    for patch in wanted.get("patches", ()):
        _patch(folder / patch["path"], patch["target"], objects)
    if "namespace" in wanted:
        _move(wanted["namespace"], objects)
    for image in wanted.get("images", ()):
        _rename(image, objects)
    names = [(found["kind"], found["metadata"]["name"]) for found in objects]
    if len(set(names)) < len(names):
        raise KustomizeError(f"{path}: the same object twice: {sorted(names)}")
    return objects


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return build(path)
    if not path.is_file():
        raise KustomizeError(f"{path}: no such file")
    # By way of JSON: what YAML's anchors name would be one dictionary in two places.
    return [json.loads(json.dumps(found)) for found in yaml.safe_load_all(path.read_text()) if found]


def _generate(folder: Path, kind: str, generator: Manifest, objects: list[Manifest]) -> list[Manifest]:
    """Make a ConfigMap or Secret, or change the one of that name."""
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
    """Apply a JSON patch (RFC 6902) to the one object that it names."""
    named = [found for found in objects if _matches(target, found)]
    if len(named) != 1:
        raise KustomizeError(f"{path}: {len(named)} objects are {target}")
    for operation in yaml.safe_load(path.read_text()):
        *parents, last = operation["path"].lstrip("/").split("/")
        place: Any = named[0]
        try:
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
        except (KeyError, IndexError) as error:
            raise KustomizeError(f"{path}: {operation['path']} is not there") from error
        if not isinstance(place, dict) or operation["op"] not in ("add", "replace"):
            raise KustomizeError(f"{path}: not known here: {operation}")
        if operation["op"] == "replace" and last not in place:
            raise KustomizeError(f"{path}: {operation['path']} is not there to be replaced")
        place[last] = copy.deepcopy(operation["value"])


def _move(namespace: str, objects: Iterable[Manifest]) -> None:
    for found in objects:
        key = "name" if found["kind"] in _CLUSTER_WIDE else "namespace"
        found["metadata"][key] = namespace


def _rename(image: Manifest, objects: Iterable[Manifest]) -> None:
    for found in objects:
        for container in pod(found).get("containers", ()):
            name, _, tag = container["image"].rpartition(":")
            if name == image["name"]:
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def pod(found: Manifest) -> Manifest:
    """Return the specification of the pods of an object, empty if it has none."""
    template: Manifest = found.get("spec", {}).get("template", {})
    spec: Manifest = template.get("spec", {})
    return spec
