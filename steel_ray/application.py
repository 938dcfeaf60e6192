"""Ray Serve application: each replica is the whole service, behind Ray's proxy, router and autoscaler.

Decoding, batching, limits and errors are those of the service.
"""

import asyncio
import os

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve
from ray.serve.config import BackpressureConfig

from service.app import create_app
from service.inference.engine import Engine
from service.observability.logs import configure_logs
from service.settings import Settings
from steel_ray.middleware import DropRequestId
from steel_ray.proxy import ignore_upgrades

_POLL_SECONDS = 0.05


class Arguments(BaseModel, extra="forbid"):
    """Arguments of the application in a configuration file."""

    settings: dict[str, str] = Field({}, description="environment variables of the service: STEEL_MODEL, ...")


class ReplicaFailedError(Exception):
    """This replica cannot recover; Ray replaces it."""


@serve.deployment(
    # More than the service's queue holds, so that a replica refuses with its own 429. The proxy queues only
    # while all replicas are that full.
    max_ongoing_requests=96,
    max_queued_requests=64,
    backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
    health_check_period_s=2,
    health_check_timeout_s=60,  # loading, proving and warming up a model included
    graceful_shutdown_wait_loop_s=0.5,
    graceful_shutdown_timeout_s=30,
    ray_actor_options={"num_cpus": 1},
)
@serve.ingress()
class Strips:
    """Replica: one process of the service.

    Args:
        settings: STEEL_* variables; they override the environment.
    """

    def __init__(self, settings: dict[str, str]) -> None:
        ignore_upgrades()
        os.environ.update(settings)
        self._settings = Settings()
        self._failures: list[Exception] = []
        self._engine: Engine | None = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application; Ray runs its lifespan on the event loop that serves requests."""
        configure_logs(self._settings.log_level)
        app = create_app(self._settings, on_fatal=self._failures.append)
        app.add_middleware(DropRequestId)
        self._engine = app.state.engine
        return app

    async def check_health(self) -> None:
        """Return once the model is ready; Ray sends no request to the replica before.

        Raises:
            ReplicaFailedError: if the replica cannot recover.
        """
        engine = self._engine
        if engine is None:
            raise AssertionError("expected the application to be built before its health is checked")
        while (  # noqa: ASYNC110 - the engine announces no state
            not self._failures and engine.not_ready_reason is not None and not engine.draining
        ):
            await asyncio.sleep(_POLL_SECONDS)
        if self._failures:
            raise ReplicaFailedError(str(self._failures[0]))


strips: serve.Deployment = Strips  # type: ignore[assignment]  # the decorator's type is the class's


def build(arguments: Arguments) -> serve.Application:
    """Build the application; a configuration file names this function as ``import_path``."""
    return strips.bind(arguments.settings)
