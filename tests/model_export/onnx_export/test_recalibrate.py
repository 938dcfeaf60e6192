"""Another temperature in a finished graph."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from model_export.errors import DataError
from model_export.onnx_export.recalibrate import divide_class_logits
from tests.support.tiny_model import tiny_graph


def sigmoid_graph() -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["logits"], ["class_probability"])],
        "g",
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("class_probability", TensorProto.FLOAT, [2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_logits_are_divided_again_and_again() -> None:
    model, logits = sigmoid_graph(), np.array([2.0, -4.0], dtype=np.float32)
    for temperature, in_all in ((2.0, 2.0), (0.25, 0.5)):
        divide_class_logits(model, temperature)
        onnx.checker.check_model(model)
        (answer,) = ReferenceEvaluator(model).run(None, {"logits": logits})
        np.testing.assert_allclose(
            np.asarray(answer, dtype=np.float64), 1 / (1 + np.exp(-logits / in_all)), rtol=1e-6
        )
    assert len(model.graph.node) == 2
    (factor,) = model.graph.initializer
    assert numpy_helper.to_array(factor) == 2


def test_other_graphs_are_refused() -> None:
    with pytest.raises(DataError, match="from a Sigmoid, got them from a ReduceMax"):
        divide_class_logits(tiny_graph(), 2.0)
