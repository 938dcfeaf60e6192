"""The FastAPI application, built by ``create_app``; its lifespan owns everything that runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from service import __version__, problems
from service.engine import Engine, ModelSource
from service.errors import DeviceError, ModelFileError, ServiceError
from service.metrics import Metrics
from service.middleware import Admission, BodyLimit, RequestContext
from service.openapi import DESCRIPTION, add_parameter_examples
from service.providers import GpuOptions
from service.routes import UPLOAD_PATHS, protected, router
from service.session import Session
from service.settings import Settings

_log = structlog.get_logger()


def create_app(
    settings: Settings,
    *,
    session: Session | None = None,
    on_fatal: Callable[[Exception], None] = lambda _error: None,
) -> FastAPI:
    """Build the application.

    Args:
        settings: the only place where they are read.
        session: answers strips instead of the model file that the settings name; for tests.
        on_fatal: told when the model cannot be loaded, or cannot answer any more; the process should end.
    """
    metrics = Metrics()
    engine = Engine(
        metrics,
        ModelSource(
            settings.model,
            device=settings.device,
            threads=settings.threads,
            max_batch_size=settings.max_batch_size,
            gpu=GpuOptions(graphs=settings.cuda_graphs, engine_cache=settings.engine_cache),
        ),
        max_queue_size=settings.max_queue_size,
        batch_timeout=settings.batch_timeout_ms / 1000,
        max_pixels=settings.max_pixels,
        max_run_seconds=settings.inference_timeout_s,
        on_fatal=on_fatal,
    )

    async def load() -> None:
        try:
            if session is not None:
                await engine.serve(session, max_batch_size=settings.max_batch_size or 1)
            else:
                await engine.load()
        except Exception as error:
            known = isinstance(error, ModelFileError | DeviceError)
            _log.error("the model cannot be served", error=str(error), exc_info=None if known else error)
            on_fatal(error)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # In the background, so that health and metrics answer while a large model loads.
        loading = asyncio.create_task(load())
        try:
            yield
        finally:
            await asyncio.wait([loading])
            await engine.close()

    app = FastAPIOffline(
        title="Steel strip defect segmentation",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
        swagger_ui_parameters={"displayRequestDuration": True, "defaultModelsExpandDepth": 0},
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.engine = engine
    app.include_router(protected)
    app.include_router(router)
    app.add_exception_handler(ServiceError, problems.on_service_error)
    app.add_exception_handler(RequestValidationError, problems.on_validation_error)
    app.add_exception_handler(HTTPException, problems.on_http_exception)
    app.add_middleware(
        BodyLimit, max_bytes=settings.max_body_bytes, max_buffered_bytes=settings.max_buffered_bytes
    )
    app.add_middleware(Admission, paths=UPLOAD_PATHS, refusal=lambda: engine.refusal)
    app.add_middleware(RequestContext, metrics=metrics)
    describe = app.openapi
    app.openapi = lambda: add_parameter_examples(describe())  # type: ignore[method-assign]  # FastAPI's documented way
    return app
