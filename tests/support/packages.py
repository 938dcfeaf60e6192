"""Requirements of the project, and what they bring."""

import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.serving import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(extras: Sequence[str]) -> set[str]:
    """Return the names of the packages that the project requires with some extras, itself left out."""
    names: set[str] = set()
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            names |= declared(sorted(requirement.extras))
        else:
            names.add(canonicalize_name(requirement.name))
    return names


def installed_with(extras: Sequence[str]) -> set[str]:
    """Return the names of all packages that some extras bring, as far as they are installed here."""
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(text), "") for text in PROJECT["dependencies"]]
    todo += [
        (Requirement(text), extra) for extra in extras for text in PROJECT["optional-dependencies"][extra]
    ]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            if name == PROJECT["name"]:
                # What is installed here may be of an older pyproject.toml.
                texts = PROJECT["optional-dependencies"].get(wanted, ())
            else:
                try:
                    texts = requires(name) or ()
                except PackageNotFoundError:
                    seen.discard((name, wanted))
                    continue
            todo += [(Requirement(text), wanted) for text in texts]
    return {name for name, _ in seen} - {PROJECT["name"]}
