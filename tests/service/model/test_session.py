"""Real onnxruntime on the tiny model."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.errors import DeviceError
from service.model.providers import CPU
from service.model.session import Device, OrtSession, batch_sizes, open_session, prove
from tests.support.tiny_model import block_strip

GPU_BUILD = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_every_strip_gets_its_own_answer_at_any_count(tiny_session: OrtSession, count: int) -> None:
    strips = [block_strip(c1=(10 + number, 5, 1, 1), c3=(20, number, 2, 1)) for number in range(count)]
    answers = tiny_session.infer(strips)
    assert len(answers) == count
    for number, (classes, masks) in enumerate(answers):
        assert classes.dtype == np.float32
        assert masks.dtype == np.uint8
        assert classes.tolist() == [1, 0, 1, 0]
        expected = np.zeros((4, 1600, 256), dtype=np.uint8)
        expected[0, 10 + number, 5] = 255
        expected[2, 20:22, number] = 255
        np.testing.assert_array_equal(masks, expected)


def test_it_says_what_it_is(tiny_session: OrtSession, tiny_model: Path) -> None:
    assert tiny_session.metadata.name == "tiny"
    assert tiny_session.provider == CPU
    assert tiny_session.fallback_reason is None
    assert len(tiny_session.sha256) == 64
    assert OrtSession(tiny_model, device="cpu").batch_sizes == (1,)


def test_it_proves_itself_and_warms_up_every_size(tiny_session: OrtSession) -> None:
    prove(tiny_session)
    tiny_session.warm_up()


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))],
)
def test_batch_sizes(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


@pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA")
def test_auto_falls_back_to_the_cpu_and_says_why(tiny_model: Path) -> None:
    session = open_session(tiny_model, device="auto")
    assert session.provider == CPU
    assert session.fallback_reason is not None
    assert "built for the CPU only" in session.fallback_reason


@pytest.mark.skipif(GPU_BUILD, reason="this onnxruntime is built with CUDA")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_insisted_on_refuses_to_start(tiny_model: Path, device: Device) -> None:
    with pytest.raises(DeviceError, match="built for the CPU only"):
        open_session(tiny_model, device=device)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the GPU build of onnxruntime on a machine without a driver: CUDA is listed and not used."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers, **_: real(path, options, providers=[CPU]),
    )


@pytest.mark.usefixtures("pretended_gpu")
def test_only_what_the_session_reports_counts(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="were not found"):
        open_session(tiny_model, device="cuda")
    reason = open_session(tiny_model, device="auto").fallback_reason
    assert reason is not None
    assert "the session reports ['CPUExecutionProvider']" in reason


@pytest.mark.usefixtures("pretended_gpu")
def test_a_gpu_that_opens_but_cannot_run_falls_back_too(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession

    class Broken:
        def __init__(self, *arguments: object) -> None:
            self.session = real(*arguments)

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

        def __getattr__(self, name: str) -> object:
            return getattr(self.session, name)

    def create(path: str, options: object, providers: list[object], **_: object) -> object:
        return Broken(path, options, [CPU]) if len(providers) > 1 else real(path, options, [CPU])

    class BrokenRuns:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self, *_: object) -> object:
            raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    monkeypatch.setattr("service.model.session.BoundRuns", BrokenRuns)
    session = open_session(tiny_model, device="auto")
    assert session.provider == CPU
    assert session.fallback_reason is not None
    assert "no kernel image" in session.fallback_reason
    with pytest.raises(RuntimeError, match="no kernel image"):
        open_session(tiny_model, device="cuda")


def test_a_failing_run_is_an_error_and_no_silent_change_of_provider(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, object] = {}
    real = onnxruntime.InferenceSession

    def create(*positional: object, **named: object) -> object:
        arguments.update(named)
        return real(*positional, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    OrtSession(tiny_model)
    assert arguments["enable_fallback"] == 0
