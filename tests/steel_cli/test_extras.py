"""A package that is not installed: one line that names the extra, exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from steel_cli.__main__ import main
from steel_cli.extras import requires
from tests.support.serving import ROOT

INSTALL = f"is not installed in {sys.prefix}; in the checkout, {sys.executable} -m pip install"
LINES = {
    "tyro": f"error: tyro {INSTALL} '.[client]'\n",
    "tqdm": f"error: tqdm {INSTALL} '.[client]'\n",
    "fastapi": f"error: fastapi {INSTALL} '.[client,cpu]', with openvino or gpu instead of cpu as the "
    "machine has it; or name a server with --server\n",
}


@pytest.mark.parametrize("package", LINES)
def test_what_is_not_installed_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "strip.png").write_bytes(b"")
    for name in ("steel_cli.predict", "steel_cli.in_process", "service.app"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("sys.argv", ["steel", "predict", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(LINES[package])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "watch", "bulk"])
@pytest.mark.parametrize(("package", "extras"), [("onnxruntime", "[bulk,cpu]"), ("httpx", "")])
def test_what_a_broken_environment_lacks_is_named(
    package: str, extras: str, command: str, tmp_path: Path
) -> None:
    """In a new process, where none of our modules is loaded."""
    code = f"""
import sys
sys.modules[{package!r}] = None
sys.argv = ["steel", {command!r}, "examples", "--out", {str(tmp_path / "out")!r}]
from steel_cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    expected = extras if command == "bulk" else extras.replace("bulk", "client")
    assert done.returncode == 2
    assert f"error: {package} {INSTALL} " in done.stderr
    assert f".{expected}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_module_of_ours_that_is_missing_is_a_fault() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"steel_cli\.nothing"), requires("client"):
        import steel_cli.nothing  # type: ignore[import-not-found]  # noqa: F401  (there is none)
