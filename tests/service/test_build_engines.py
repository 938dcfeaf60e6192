"""The command that builds TensorRT engines, without a GPU."""

from pathlib import Path

import onnxruntime
import pytest

from service import build_engines

GPU_BUILD = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({}, 2, "expected STEEL_ENGINE_CACHE, the folder"),
        ({"STEEL_PORT": "x"}, 2, "error: STEEL_PORT"),
        pytest.param(
            {"STEEL_ENGINE_CACHE": "engines"},
            1,
            "built for the CPU only",
            marks=pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA"),
        ),
    ],
)
def test_building_engines_says_what_is_missing(
    settings: dict[str, str],
    code: int,
    message: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEEL_MODEL", str(tiny_model))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert build_engines.main() == code
    assert message in capsys.readouterr().err
