"""Buffers on the device that a session is bound to, one set per batch size, allocated once."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

Shaped = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]
"""Shape after the batch dimension, and dtype, by name of an output."""


class BoundRuns:
    """A session whose inputs and outputs are bound to memory of a device.

    Without binding, onnxruntime allocates device memory for every run. CUDA graphs need the fixed addresses,
    too. Not thread-safe.

    Args:
        session: of a provider on that device.
        device: as onnxruntime names it, ``cuda`` or ``cpu``.
        input_name: of the only input.
        input_shape: after the batch dimension; uint8.
        outputs: to fetch, in the order of the results.
        batch_sizes: sizes to prepare for.
        graphs: replay each size as a CUDA graph; the session must have been opened for it.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        *,
        device: str,
        input_name: str,
        input_shape: tuple[int, ...],
        outputs: Shaped,
        batch_sizes: Sequence[int],
        graphs: bool = False,
    ) -> None:
        self._session = session
        self._sizes = {
            size: _Buffers(session, size, device, input_name, input_shape, outputs, graphs)
            for size in batch_sizes
        }

    def run(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.generic]]:
        """Run one of the prepared sizes, uint8 ``[size, ...]``, and copy the outputs to the host."""
        return self._sizes[len(images)].run(self._session, images)


class _Buffers:
    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        size: int,
        device: str,
        input_name: str,
        input_shape: tuple[int, ...],
        outputs: Shaped,
        graphs: bool,
    ) -> None:
        first = np.zeros((size, *input_shape), dtype=np.uint8)
        self._input = onnxruntime.OrtValue.ortvalue_from_numpy(first, device, 0)
        self._outputs = [
            onnxruntime.OrtValue.ortvalue_from_shape_and_type((size, *shape), dtype, device, 0)
            for shape, dtype in outputs.values()
        ]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(input_name, self._input)
        for name, value in zip(outputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)
        self._options = onnxruntime.RunOptions()
        if graphs:
            self._options.add_run_config_entry("gpu_graph_id", str(size))

    def run(
        self, session: onnxruntime.InferenceSession, images: npt.NDArray[np.uint8]
    ) -> list[npt.NDArray[np.generic]]:
        self._input.update_inplace(images)
        session.run_with_iobinding(self._binding, self._options)
        # On the CPU numpy() is a view of the buffer, which the next run overwrites.
        return [np.array(value.numpy()) for value in self._outputs]
