"""The FastAPI application, built by ``create_app``; its lifespan owns everything that runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service import __version__
from service.api.error_handlers import add_error_handlers
from service.api.openapi import document
from service.api.openapi.page import DOCS_PATHS, add_docs_page
from service.api.openapi.problems import error_answers
from service.api.routes import (
    HEALTH_PATHS,
    METRICS_PATH,
    UPLOAD_PATHS,
    key_required,
    metrics_route,
    protected,
    router,
    strips,
)
from service.api.v2.extensions import v2_extensions
from service.api.v2.requests import JSON_LENGTH_HEADER
from service.api.v2.routes import INFER_PATHS, V2_HEALTH_PATHS, v2_protected, v2_router
from service.errors import DeviceError, KeysRefusedError, ModelFileError
from service.http.api_keys import ApiKeys
from service.http.authentication import KEY_HEADER, Authentication
from service.http.body_limit import DEADLINE_HEADER, BodyLimit
from service.http.content_coding import CODING_HEADER, Decompression
from service.http.request_context import ExceptionAnswers, RequestContext
from service.inference.engine import Engine, ModelSource
from service.model.providers import GpuOptions
from service.model.session import Session
from service.observability.metrics import Metrics
from service.page.mount import PAGE_PATHS, add_operator_page
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
        settings: of the service; nothing else reads them.
        session: used instead of the model file that the settings name; for tests.
        on_fatal: called when the model cannot be loaded, or can no longer answer; the process should end.

    Raises:
        ApiKeysError: if the keys that the settings name cannot be used.
    """
    single = settings.api_key.get_secret_value() if settings.api_key else None
    keys = ApiKeys(single, settings.api_keys_file)
    metrics = Metrics()
    engine = Engine(
        metrics,
        ModelSource(
            settings.model,
            profile=settings.profile,
            device=settings.device,
            threads=settings.threads,
            max_batch_size=settings.max_batch_size,
            gpu=GpuOptions(graphs=settings.cuda_graphs, engine_cache=settings.engine_cache),
        ),
        max_queue_size=settings.max_queue_size,
        batch_timeout=settings.batch_timeout_ms / 1000,
        max_pixels=settings.max_pixels,
        check_health=settings.health == "on",
        max_run_seconds=settings.inference_timeout_s,
        reload_seconds=settings.reload_timeout_s,
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

    async def reload() -> bool:
        """Reload the keys, then the model; see ``Engine.reload``."""
        if not keys.reload():
            raise KeysRefusedError(
                "the file of API keys cannot be used, the log has the reason; keys and model were not changed"
            )
        return await engine.reload()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # In the background, so that health and metrics answer while a large model loads.
        loading = asyncio.create_task(load())
        try:
            yield
        finally:
            await asyncio.wait([loading])
            await engine.close()

    app = FastAPI(
        title="Steel strip defect segmentation",
        version=__version__,
        description=document.DESCRIPTION,
        openapi_tags=document.TAGS,
        # Relative to the document: the routes may be behind a path that a proxy strips.
        servers=[{"url": "."}],
        openapi_url=None,  # add_docs_page has it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name the Host that the caller sent
        lifespan=lifespan,
        # Names of functions in generated clients: predict, not predict_predict_post.
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.engine = engine
    app.state.api_keys = keys
    app.state.reload = reload
    # A document that describes a key where none is needed makes generated clients ask for one.
    needed, refused = ([key_required], (401,)) if keys.required else ([], ())
    for routes in (strips, protected):
        app.include_router(routes, dependencies=needed, responses=error_answers(*refused))
    for routes in (v2_extensions, v2_protected):
        app.include_router(routes, dependencies=needed, responses=error_answers(*refused, v2=True))
    app.include_router(router)
    app.include_router(v2_router)
    open_paths = [*HEALTH_PATHS, *V2_HEALTH_PATHS]
    if settings.metrics == "open":
        app.include_router(metrics_route)
        open_paths.append(METRICS_PATH)
    elif settings.metrics == "key":
        app.include_router(metrics_route, dependencies=[key_required], responses=error_answers(401))
    if settings.docs != "off":
        add_docs_page(app)
    if settings.docs == "open":
        open_paths.extend(DOCS_PATHS)
    if settings.page == "open":
        add_operator_page(app)
        open_paths.extend(PAGE_PATHS)
    add_error_handlers(app)
    app.add_middleware(
        BodyLimit,
        upload_paths=(*UPLOAD_PATHS, *INFER_PATHS),
        upload_refusal=engine.upload_refusal,
        max_bytes=settings.max_body_bytes,
        max_buffered_bytes=settings.max_buffered_bytes,
        seconds=settings.body_timeout_s,
    )
    app.add_middleware(Decompression)
    if keys.required:
        app.add_middleware(Authentication, keys=keys, open_paths=open_paths)
    app.add_middleware(ExceptionAnswers)
    if settings.allowed_origins:
        # In front of Authentication: a browser's preflight request carries no key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_private_network=True,
            allow_headers=(
                KEY_HEADER,
                DEADLINE_HEADER,
                "X-Filename",
                "X-Request-Id",
                JSON_LENGTH_HEADER,
                CODING_HEADER,
            ),
            expose_headers=("Retry-After", "Server-Timing", "X-Request-Id", JSON_LENGTH_HEADER),
        )
    app.add_middleware(RequestContext, metrics=metrics)
    describe = app.openapi
    app.openapi = lambda: document.add_parameter_examples(describe())  # type: ignore[method-assign]  # FastAPI's documented way
    return app
