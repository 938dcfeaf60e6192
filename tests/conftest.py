"""Fixtures for everything below."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI
from hypothesis import settings

from service.app import create_app
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.serving import running_app
from tests.support.tiny_model import write_tiny_model

ROOT = Path(__file__).parent.parent

# Machines are shared: how long an example takes says nothing.
settings.register_profile("steel", deadline=None)
settings.load_profile("steel")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's file."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx")


@pytest.fixture(scope="session")
def tiny_session(tiny_model: Path) -> OrtSession:
    """The tiny model in onnxruntime."""
    return OrtSession(tiny_model, device="cpu", threads=1, max_batch_size=4)


@pytest.fixture
def app(tiny_session: OrtSession) -> FastAPI:
    """The application on the tiny model."""
    return create_app(Settings(max_batch_size=4), session=tiny_session)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application, in this process."""
    async with running_app(app) as client:
        yield client


@pytest.fixture(scope="session")
def severstal() -> Path:
    """A folder with some of Kaggle's strips; tests that use it are skipped without it."""
    path = Path(os.environ.get("STEEL_TEST_DATA", ROOT.parent / "shared" / "data")) / "severstal"
    if not (path / "train.csv").is_file():
        pytest.skip("no real strips here: set STEEL_TEST_DATA to a folder that holds severstal/train.csv")
    return path


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The folder of the model that is served by default."""
    return ROOT / "models/steel-unet-resnet18-fast"


@pytest.fixture
def logs() -> Iterator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
