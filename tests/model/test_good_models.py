"""Good models export without special options: of easy data, of clean data, and where int8 does not suit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export.data.kaggle import write_kaggle
from model_export.data.labelled_strip import CLEAN, LabelledStrip, Masks
from model_export.data.severstal import CLASSES, HEIGHT, WIDTH
from model_export.data.synthetic import drawn_strips
from model_export.network.steel_network import NetworkConfig
from model_export.onnx_export import parity
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.metadata import ModelIdentity
from model_export.onnx_export.model_draft import ModelDraft
from model_export.onnx_export.profiles import TunedProfiles
from model_export.training.checkpoint import load_checkpoint
from model_export.training.config import TrainConfig
from model_export.training.train import train
from service.geometry import Strip
from service.model.loading import prove
from service.model.metadata import Calibration, OperatingPoint
from service.model.session import OrtSession
from tests.support.quick_training import QUICK

SMALL = replace(
    QUICK,
    network=NetworkConfig(input_reduction=4, encoder_depth=4, decoder_channels=(16, 8)),
    drawn_share=0.0,
    crop_width=512,
    samples_per_epoch=24,
    epochs=3,
    validate_every=3,
)


class EasyStrip:
    """A strip of another mill, as easy as can be: clean, with dark squares or with white discs."""

    def __init__(self, number: int) -> None:
        self.name = f"{number:03d}.png"
        self.number = number
        self.classes = frozenset({number % 3 - 1} - {CLEAN})

    def load(self) -> tuple[Strip, Masks]:
        rng = np.random.default_rng(self.number)
        image = 180 + rng.normal(0, 4, (HEIGHT, WIDTH)) + rng.normal(0, 6, (1, WIDTH)).cumsum(1) * 0.2
        masks = np.zeros((4, HEIGHT, WIDTH), dtype=np.bool_)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        for position in self.classes:
            for _ in range(3):
                cy, cx = rng.integers(40, 216), rng.integers(60, 1540)
                square = (abs(y - cy) < 22) & (abs(x - cx) < 22)
                region = square if position == 0 else (y - cy) ** 2 + (x - cx) ** 2 < 24**2
                image[region] = 20 if position == 0 else 255
                masks[position] |= region
        return image.clip(0, 255).astype(np.uint8), masks


def trained_on(strips: Sequence[LabelledStrip], folder: Path) -> TrainConfig:
    write_kaggle(strips, folder / "data", "drawing")
    return replace(SMALL, data=folder / "data", out=folder / "run", folds=3)


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("easy")
    return train(trained_on([EasyStrip(number) for number in range(15)], folder))


def test_a_model_of_easy_data_exports(easy: Path, tmp_path: Path) -> None:
    session = OrtSession(export(ExportConfig(checkpoint=easy, out=tmp_path)))
    prove(session)
    assert session.metadata.gate is not None
    compared = session.metadata.parity.strips
    assert compared == len(session.metadata.split.validation) < 24


@pytest.mark.parametrize(("bias", "opens"), [(-20.0, False), (20.0, True)])
def test_a_gate_that_stays_closed_on_the_golden_strip(
    easy: Path, tmp_path: Path, bias: float, opens: bool
) -> None:
    """Its masks in the metadata are those that the file with its gate answers: none."""
    state = load_checkpoint(easy)
    state.averaged["classification_head.3.weight"].mul_(0.01)
    state.averaged["classification_head.3.bias"].fill_(bias)
    state.averaged["segmentation_head.bias"].fill_(3.0)  # masks are full where the decoder runs
    calibration = Calibration(temperature=1, strips=1, cross_entropy_before=0, cross_entropy_after=0)
    identity = ModelIdentity("easy", 1, CLASSES, "")
    strips = [EasyStrip(1)]
    draft = ModelDraft(state, calibration, identity, strips, tmp_path / "m.onnx", "fp32", soft_gate=False)
    point = OperatingPoint(class_threshold=(0.5,) * 4, threshold=(0.5,) * 4, min_area=(0,) * 4)
    profiles = TunedProfiles(
        {"inspection": point}, {"inspection": ()}, ((0.5, 0.5),) * 4, "nothing", "nothing"
    )
    comparison = draft.compare(strips, point)
    metadata = draft.finish(profiles, comparison, strips, gated=True)
    prove(OrtSession(tmp_path / "m.onnx"))
    assert any(metadata.golden.rle) is opens


def test_a_model_of_clean_strips_exports(tmp_path: Path) -> None:
    clean = [strip for strip in drawn_strips(60, 5) if not strip.classes]
    checkpoint = train(replace(trained_on(clean, tmp_path), epochs=1, validate_every=1, samples_per_epoch=4))
    session = OrtSession(export(ExportConfig(checkpoint=checkpoint, out=tmp_path / "models")))
    prove(session)
    assert [score.recall for score in session.metadata.profiles[0].scores] == [None] * 4


def test_a_model_that_int8_would_hurt_becomes_float32(
    easy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = {kind: parity.Tolerance(-1, 255, 1, 1) for kind in ("int8", "fp16")}
    monkeypatch.setattr(parity, "TOLERANCE", parity.TOLERANCE | strict)
    path = export(ExportConfig(checkpoint=easy, out=tmp_path))
    metadata = OrtSession(path).metadata
    assert metadata.precision == "fp32"
    assert not path.with_name("gpu.onnx").exists()
    text = capsys.readouterr().out
    assert "int8 hurts this model: the exported int8 graph differs from torch on" in text
    assert "It becomes float32" in text
    assert "gpu.onnx is left out: the exported fp16 graph" in text
    assert "left out: the exported int8 graph" in path.with_name("README.md").read_text()
