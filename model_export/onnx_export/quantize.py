"""Static quantization to int8: weights per output channel, activations per tensor, scales from strips."""

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
"""Operators whose int8 kernels are faster; normalisation and the ends of the heads stay in float."""


class _StripReader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, strips: Sequence[Strip]) -> None:
        self._strips: Iterator[Strip] = iter(
            tqdm(strips, "calibrating int8", unit="strip", dynamic_ncols=True)
        )

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Return the next input, or None at the end."""
        strip = next(self._strips, None)
        return None if strip is None else {"image": strip[None]}


def quantize(model: onnx.ModelProto, strips: Sequence[Strip]) -> onnx.ModelProto:
    """Return the graph with int8 weights and uint8 activations, as QuantizeLinear/DequantizeLinear pairs.

    Args:
        model: the graph in float32.
        strips: strips that set the ranges of the activations; training strips, since strips that score the
            model must not influence it.

    x86 processors multiply uint8 by int8 fastest. Those without VNNI add pairs of products in 16 bits; 7-bit
    weights cannot overflow there, so that every processor computes the same result.
    """
    with TemporaryDirectory() as folder:
        float_path, clean_path, int8_path = (Path(folder) / name for name in ("f", "c", "q"))
        onnx.save(model, float_path)
        quant_pre_process(float_path, clean_path, skip_symbolic_shape=True)
        quantize_static(
            clean_path,
            int8_path,
            _StripReader(strips),
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
    """Return the names of the nodes after the masks' last convolution: logits are upsampled in float."""
    producers = {output: node for node in model.graph.node for output in node.output}
    names = []
    tensor = "mask_probability"
    while tensor in producers and producers[tensor].op_type != "Conv":
        names.append(producers[tensor].name)
        tensor = producers[tensor].input[0]
    return names
