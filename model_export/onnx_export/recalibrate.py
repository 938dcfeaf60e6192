"""Another temperature for the class probabilities of a finished graph."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from model_export.errors import DataError

_FACTOR = "recalibration"


def divide_class_logits(model: ModelProto, temperature: float) -> None:
    """Divide the logits in front of the class probabilities by a temperature, in place.

    Raises:
        DataError: if the probabilities do not come from a sigmoid.
    """
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    sigmoid = producers["class_probability"]
    if sigmoid.op_type != "Sigmoid":
        raise DataError(f"expected class probabilities from a Sigmoid, got them from a {sigmoid.op_type}")
    before = producers.get(sigmoid.input[0])
    constants = {constant.name: constant for constant in graph.initializer}
    if before is not None and before.name == _FACTOR:
        factor = float(numpy_helper.to_array(constants[_FACTOR])) / temperature
        constants[_FACTOR].CopyFrom(_constant(factor))
        return
    graph.initializer.append(_constant(1 / temperature))
    product = helper.make_node("Mul", [sigmoid.input[0], _FACTOR], [f"{_FACTOR}/logits"], _FACTOR)
    sigmoid.input[0] = product.output[0]
    graph.node.insert(list(graph.node).index(sigmoid), product)


def _constant(factor: float) -> TensorProto:
    return numpy_helper.from_array(np.array(factor, dtype=np.float32), _FACTOR)
