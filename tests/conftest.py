"""Fixtures of all tests, and how tests run side by side."""

import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from hypothesis import settings

from service.app import create_app
from service.model.session import OrtSession
from service.settings import Settings
from tests.support.serving import running_app
from tests.support.side_by_side import rank, scope, turn
from tests.support.tiny_model import write_tiny_model

ROOT = Path(__file__).parent.parent

# Machines are shared: how long an example takes says nothing.
settings.register_profile("steel", deadline=None)
settings.load_profile("steel")


def configure_plain_logs() -> None:
    """Print plain tracebacks; structlog's default spends seconds on drawing local variables, strips too."""
    structlog.reset_defaults()
    *others, _ = structlog.get_config()["processors"]
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, renderer])


configure_plain_logs()


def pytest_configure(config: pytest.Config) -> None:
    """Set up this process, and what the processes inherit that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Coverage is measured in processes that run tests; it would slow down those that tests start.
    starts_workers = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if not starts_workers:
        os.environ.pop("COVERAGE_PROCESS_START", None)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist, tests run one after the other
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Divide the tests between workers."""
    from xdist.scheduler import LoadScopeScheduling

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = scope
    return scheduling


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files if several workers run."""
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test that is marked ``alone`` without a neighbour."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    folder = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]  # of the run
    with turn(folder, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Return the event loop that anyio's tests use: asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny" / "1" / "model.onnx")


@pytest.fixture(scope="session")
def tiny_session(tiny_model: Path) -> OrtSession:
    """Return the tiny model in onnxruntime."""
    return OrtSession(tiny_model, device="cpu", threads=1, max_batch_size=4)


@pytest.fixture
def app(tiny_session: OrtSession) -> FastAPI:
    """Return the application on the tiny model."""
    return create_app(Settings(max_batch_size=4), session=tiny_session)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the application, which runs in this process."""
    async with running_app(app) as client:
        yield client


@pytest.fixture(scope="session")
def severstal() -> Path:
    """Return a folder with some strips of Kaggle's data set; skip the test if there is none."""
    path = Path(os.environ.get("STEEL_TEST_DATA", ROOT.parent / "shared" / "data")) / "severstal"
    if not (path / "train.csv").is_file():
        pytest.skip("no real strips here: set STEEL_TEST_DATA to a folder that holds severstal/train.csv")
    return path


@pytest.fixture(scope="session")
def default_model() -> Path:
    """Return the folder of the default model."""
    return ROOT / "models/steel-unet-resnet18-fast"


@pytest.fixture
def logs() -> Iterator[None]:
    """Restore the configuration of logging after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    configure_plain_logs()
    root.handlers[:] = handlers
    root.setLevel(level)
