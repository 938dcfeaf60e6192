"""A model file written again with other metadata; the weights stay."""

from pathlib import Path

import onnx

from model_export.data.tile import Tile
from model_export.onnx_export.gate import set_gate
from model_export.onnx_export.golden import choose_golden
from model_export.onnx_export.graph_session import GraphSession
from model_export.onnx_export.onnx_file import write_onnx
from model_export.onnx_export.profiles import TunedProfiles
from model_export.onnx_export.recalibrate import divide_class_logits
from service.model.loading import prove
from service.model.metadata import ModelMetadata
from service.model.session import OrtSession


def open_ungated(path: Path, metadata: ModelMetadata, temperature: float = 1.0) -> onnx.ModelProto:
    """Load a graph at another temperature whose gate, if it has one, is open."""
    graph = onnx.load(path)
    if metadata.gate is not None:
        set_gate(graph, [0.0] * len(metadata.gate))
    if temperature != 1:
        divide_class_logits(graph, temperature)
    return graph


def rewrite(path: Path, metadata: ModelMetadata, profiles: TunedProfiles, target: Path) -> ModelMetadata:
    """Write the graph at ``path`` with new metadata, gate and golden strip."""
    old = OrtSession(path).metadata
    graph = open_ungated(path, old, metadata.calibration.temperature / old.calibration.temperature)
    if metadata.gate is not None:
        set_gate(graph, metadata.gate)
    session, point = GraphSession(graph, target), profiles.points["inspection"]
    golden = choose_golden(session, point, metadata.gate, Tile.of(metadata), len(metadata.classes))
    metadata = metadata.model_copy(update={"golden": golden})
    write_onnx(graph, metadata, target)
    prove(OrtSession(target))
    return metadata
