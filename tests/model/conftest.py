"""One thread for torch and onnxruntime, since another test runs beside: waiting threads waste time."""

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Grant one processor to sessions of these tests and to the trainings that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
