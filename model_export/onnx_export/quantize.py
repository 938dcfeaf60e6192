"""Static int8: weights per output channel, activations per tensor, scales from real strips."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from tqdm import tqdm

from service.geometry import Strip

_QUANTIZED = ["Conv", "Relu", "Add", "MaxPool", "Concat", "Resize"]
"""Operators whose int8 kernels pay; what is left (normalisation, the heads' ends) stays in float."""


class _Strips(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, strips: Sequence[Strip]) -> None:
        self._strips: Iterator[Strip] = iter(
            tqdm(strips, "calibrating int8", unit="strip", dynamic_ncols=True)
        )

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Give the next input, or None."""
        strip = next(self._strips, None)
        return None if strip is None else {"image": strip[None]}


def quantize(model: onnx.ModelProto, strips: Sequence[Strip]) -> onnx.ModelProto:
    """Return the graph with int8 weights and uint8 activations, as QuantizeLinear/DequantizeLinear pairs.

    Args:
        model: the graph in float32.
        strips: what the ranges of the activations are read from; the graph's training strips, since
            nothing of these may come from strips that it is scored on.

    U8S8 is what x86 processors multiply fastest. Those without VNNI add pairs of products in 16 bits; with
    weights of 7 bits nothing overflows there, and every processor answers alike.
    """
    with TemporaryDirectory() as folder:
        float_path, clean_path, int8_path = (Path(folder) / name for name in ("f", "c", "q"))
        onnx.save(model, float_path)
        quant_pre_process(float_path, clean_path, skip_symbolic_shape=True)
        quantize_static(
            clean_path,
            int8_path,
            _Strips(strips),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            nodes_to_exclude=_mask_tail(onnx.load(clean_path)),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(int8_path)


def _mask_tail(model: onnx.ModelProto) -> list[str]:
    """Name the nodes behind the last convolution of the masks: the upsampling of logits stays in float."""
    producers = {output: node for node in model.graph.node for output in node.output}
    names = []
    tensor = "mask_probability"
    while tensor in producers and producers[tensor].op_type != "Conv":
        names.append(producers[tensor].name)
        tensor = producers[tensor].input[0]
    return names
