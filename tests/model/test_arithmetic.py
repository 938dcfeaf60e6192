"""Exported graphs: int8, float16 and gated ones agree with the network that they come from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model_export.data.draw import DrawConfig, draw
from model_export.data.synthetic import DrawnStrip
from model_export.errors import DataError
from model_export.network.steel_network import NetworkConfig, ServedNetwork, SteelNetwork
from model_export.onnx_export.export import ExportConfig, export
from model_export.onnx_export.float16 import to_float16
from model_export.onnx_export.gate import gate_decoder
from model_export.onnx_export.onnx_file import trace_to_onnx
from model_export.onnx_export.quantize import quantize
from model_export.onnx_export.stem import UnshuffledStem
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.config import TrainConfig
from model_export.training.cross_validate import CrossValidateConfig, cross_validate
from model_export.training.teacher import Teacher
from model_export.training.train import train
from service.geometry import Strip
from service.model.loading import prove
from service.model.providers import open_cpu
from service.model.repository import read_model, write_checksum
from service.model.session import OrtSession, Probabilities
from tests.support.quick_training import QUICK

STRIPS = [DrawnStrip(9, number).load()[0] for number in range(4)]
CONFIG = NetworkConfig(input_reduction=2, encoder_depth=4, decoder_channels=(16, 8), classifier_channels=16)


@pytest.fixture(scope="module")
def network() -> ServedNetwork:
    """A network that nobody trained, with norms that have seen strips."""
    torch.manual_seed(0)
    steel = SteelNetwork(CONFIG).train()
    with torch.no_grad():
        for _ in range(10):
            steel(torch.from_numpy(np.stack(STRIPS)).unsqueeze(1).float())
    return ServedNetwork(steel).eval()


@pytest.fixture(scope="module")
def graph(network: ServedNetwork) -> onnx.ModelProto:
    return trace_to_onnx(network, (256, 1600))


@pytest.fixture(scope="module")
def int8_graph(graph: onnx.ModelProto) -> onnx.ModelProto:
    return quantize(graph, STRIPS)


def run(model: onnx.ModelProto, folder: Path, strips: Sequence[Strip]) -> Probabilities:
    path = folder / "m.onnx"
    onnx.save(model, path)
    write_checksum(path)
    names = ["class_probability", "mask_probability"]
    return Probabilities(*open_cpu(read_model(path), threads=1).run(names, {"image": np.stack(strips)}))


def agree(one: Probabilities, other: Probabilities) -> float:
    """Share of mask bytes that are nearly equal."""
    return float(np.mean(np.abs(one.masks.astype(int) - other.masks.astype(int)) <= 12))


def test_the_graph_answers_as_torch_does(
    network: ServedNetwork, graph: onnx.ModelProto, tmp_path: Path
) -> None:
    with torch.inference_mode():
        classes, masks = network(torch.from_numpy(np.stack(STRIPS)))
    answer = run(graph, tmp_path, STRIPS)
    np.testing.assert_allclose(answer.classes, classes.numpy(), atol=1e-4)
    assert np.abs(answer.masks.astype(int) - masks.numpy().astype(int)).max() <= 1
    assert graph.graph.node[-1].op_type == "QuantizeLinear"
    assert isinstance(network.network.encoder.conv1, torch.nn.Conv2d), "the network itself was changed"


@pytest.mark.parametrize(("inputs", "bias"), [(1, False), (3, True)])
def test_the_stem_over_squares_is_the_same_convolution(inputs: int, bias: bool) -> None:
    layer = torch.nn.Conv2d(inputs, 8, 7, stride=2, padding=3, bias=bias)
    images = torch.randn(2, inputs, 32, 64)
    torch.testing.assert_close(UnshuffledStem(layer)(images), layer(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.Conv2d(2, 8, 7, stride=1, padding=3),
        torch.nn.Conv2d(2, 8, 7, stride=2, padding=2),
        torch.nn.Conv2d(2, 8, 7, stride=2, padding=3, dilation=2),
        torch.nn.Conv2d(2, 8, 7, stride=2, padding=3, groups=2),
        torch.nn.Conv2d(1, 8, 3, stride=2, padding=1),
        torch.nn.Identity(),
    ],
)
def test_no_other_layer_is_taken_for_a_stem(layer: torch.nn.Module) -> None:
    assert not UnshuffledStem.matches(layer)


def test_int8_is_smaller_and_near(
    graph: onnx.ModelProto, int8_graph: onnx.ModelProto, tmp_path: Path
) -> None:
    assert int8_graph.ByteSize() < 0.35 * graph.ByteSize()
    exact, answer = run(graph, tmp_path, STRIPS), run(int8_graph, tmp_path, STRIPS)
    np.testing.assert_allclose(answer.classes, exact.classes, atol=0.1)
    assert agree(exact, answer) >= 0.95
    assert not np.array_equal(exact.masks, answer.masks)


def test_float16_is_smaller_and_near(graph: onnx.ModelProto, tmp_path: Path) -> None:
    halved = to_float16(graph)
    assert halved.ByteSize() < 0.55 * graph.ByteSize()
    exact, answer = run(graph, tmp_path, STRIPS), run(halved, tmp_path, STRIPS)
    assert answer.classes.dtype == np.float32
    np.testing.assert_allclose(answer.classes, exact.classes, atol=0.01)
    assert agree(exact, answer) >= 0.999


@pytest.mark.parametrize("arithmetic", ["float", "int8"])
def test_the_gate_changes_no_answer_but_that_of_strips_without_any_class(
    arithmetic: str, graph: onnx.ModelProto, int8_graph: onnx.ModelProto, tmp_path: Path
) -> None:
    source = graph if arithmetic == "float" else int8_graph
    exact = run(source, tmp_path, STRIPS)
    thresholds = np.sort(exact.classes, axis=0)[-2:].mean(axis=0)  # each class shows on one strip at most
    gated = onnx.ModelProto()
    gated.CopyFrom(source)
    gate_decoder(gated, thresholds.tolist())
    onnx.checker.check_model(gated)
    shows = (exact.classes >= thresholds).any(axis=1)
    assert shows.sum() > 0
    for strip, classes, masks, found in zip(STRIPS, *exact, shows, strict=True):
        answer = run(gated, tmp_path, [strip])
        np.testing.assert_array_equal(answer.classes[0], classes)
        np.testing.assert_array_equal(answer.masks[0], masks if found else np.zeros_like(masks))
    together = run(gated, tmp_path, STRIPS)
    np.testing.assert_array_equal(together.masks, exact.masks)
    gate_decoder(source_copy := _copy(source), [2.0] * 4)
    assert not run(source_copy, tmp_path, STRIPS).masks.any()


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    return train(replace(QUICK, network=CONFIG, out=run, epochs=4, samples_per_epoch=16))


def test_an_export_is_int8_and_gated_with_a_float16_file_beside_it(trained: Path, tmp_path: Path) -> None:
    path = export(ExportConfig(checkpoint=trained, out=tmp_path, parity_strips=3))
    session, gpu = OrtSession(path), OrtSession(path.with_name("gpu.onnx"))
    prove(session)
    prove(gpu)
    assert session.metadata.precision == "int8"
    points = session.metadata.profiles
    assert session.metadata.gate == tuple(
        min(point.class_threshold[index] for point in points) for index in range(4)
    )
    assert (gpu.metadata.precision, gpu.metadata.gate) == ("fp16", None)
    assert gpu.metadata.profiles == points
    export(ExportConfig(checkpoint=trained, out=tmp_path, gpu=False, precision="fp32", overwrite=True))
    assert not path.with_name("gpu.onnx").exists()


def test_a_teachers_answers_come_at_the_learners_resolution(trained: Path) -> None:
    teacher = Teacher([trained], torch.device("cpu"))
    images = torch.from_numpy(np.stack(STRIPS)).unsqueeze(1).float()
    network = restore_network(load_checkpoint(trained))
    with torch.inference_mode():
        masks, classes = network.decoder_logits(images)
    pixels, present = teacher.predict(images, (16, 100))
    torch.testing.assert_close(present, torch.sigmoid(classes))
    side = masks.shape[2] // 16
    torch.testing.assert_close(pixels, torch.nn.functional.avg_pool2d(torch.sigmoid(masks), side))


def test_each_fold_learns_from_its_own_teacher_and_start(tmp_path: Path) -> None:
    draw(DrawConfig(out=tmp_path / "data", count=8, seed=3))
    config = CrossValidateConfig(**vars(QUICK), only=(1, 2))
    larger = replace(CONFIG, input_reduction=1)
    config = replace(
        config, network=larger, data=tmp_path / "data", out=tmp_path / "first", epochs=1, folds=2
    )
    first = cross_validate(config)
    again = replace(
        config,
        out=tmp_path / "second",
        network=CONFIG,
        start_from=tmp_path / "first",
        teacher=(tmp_path / "first",),
    )
    for fold, path in enumerate(cross_validate(again)):
        own = load_checkpoint(path).config
        assert own.network.input_reduction == 2
        assert (own.start_from, own.teacher) == (first[fold], (first[fold],))


def test_a_start_from_another_network_is_refused(trained: Path, tmp_path: Path) -> None:
    other = NetworkConfig(encoder_depth=4, decoder_channels=(16,))
    with pytest.raises(DataError, match="holds another network"):
        train(TrainConfig(out=tmp_path, drawn=10, start_from=trained, network=other, workers=0))
