"""Extras in pyproject.toml: each brings what its packages import."""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from service import __version__
from tests.support.packages import PROJECT, declared, installed_with
from tests.support.serving import ROOT

EXTRAS = {
    "steel_client": (),
    "steel_cli": ("client",),
    "steel_capacity": ("cpu",),
    "steel_bulk": ("bulk", "cpu"),
    "steel_ray": ("cpu", "ray"),
    "service": ("cpu",),
    "model_export": ("cpu", "train"),
}
"""Extras with which each package works, besides the base."""

ON_DEMAND = {"mlflow"}
"""Imported for one option, whose error names the package: no extra brings it."""

DISTRIBUTIONS = {
    module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
}

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
import {modules}
"""


def imports_of(package: str) -> set[str]:
    """Return the modules of other projects that a package imports anywhere, by their first name."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names - EXTRAS.keys()


@pytest.mark.parametrize("package", EXTRAS)
def test_every_import_is_declared(package: str) -> None:
    names = declared(EXTRAS[package])
    missing = {module for module in imports_of(package) - ON_DEMAND if not DISTRIBUTIONS[module] & names}
    assert missing == set()


def run_without(extras: Sequence[str], modules: str) -> subprocess.CompletedProcess[str]:
    """Import modules in a process that finds only what some extras bring."""
    names = installed_with(extras)
    ours = {"steel-defect-service", "colorama", "psutil"}  # Ray carries the last two itself
    blocked = {module for module, packages in DISTRIBUTIONS.items() if not packages & (names | ours)}
    code = BLOCKED.format(blocked=blocked, modules=modules)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extras", "modules"),
    [
        ((), "steel_client"),
        ((), "steel_cli.__main__"),
        (("client",), "steel_cli.predict"),
        (("bulk", "cpu"), "steel_bulk.command"),
        (("cpu",), "service.__main__"),
    ],
)
def test_an_extra_is_enough_to_import_what_it_is_for(extras: Sequence[str], modules: str) -> None:
    """Through our other packages, too: the commands use modules of the service."""
    done = run_without(extras, modules)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--help", "predict --help", "watch --help", "bulk --help"])
def test_the_environment_of_make_serve_has_the_commands(command: str) -> None:
    make = ["make", "--dry-run", "--always-make", ".venv-cpu/.installed"]
    commands = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    extras = re.search(r'--editable "\.\[(.+)\]"', commands)
    assert extras is not None
    arguments = ["steel", *command.split()]
    run = f"steel_cli.__main__; sys.argv = {arguments}; steel_cli.__main__.main()"
    done = run_without(extras[1].split(","), run)
    assert done.returncode == 0, done.stderr
    assert "usage: steel" in done.stdout


def test_what_an_extra_lacks_is_not_found() -> None:
    assert "is blocked" in run_without(("client",), "service.app").stderr


def test_the_base_is_small() -> None:
    assert declared(()) == {"httpx", "numpy", "pydantic"}
    assert len(installed_with(())) <= 15


def test_the_version_is_written_once() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    assert f'__version__ = "{__version__}"' in (ROOT / "service" / "__init__.py").read_text()
