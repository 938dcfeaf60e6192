"""Model files that are refused."""

from pathlib import Path

import pytest

from service.errors import ModelFileError
from service.model.loading import open_session


def refusal(path: Path) -> str:
    """Return the reason why the service refuses a model file."""
    with pytest.raises(ModelFileError) as caught:
        open_session(path, device="cpu", threads=1)
    return str(caught.value)
