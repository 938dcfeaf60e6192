"""The service in replicas: the same application and session, under Ray Serve's proxy, router and autoscaler.

What Ray adds is around the application; decoding, batching, limits and errors are the service's own.
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
from steel_ray.middleware import OneRequestId

_LOOK_SECONDS = 0.05


class Arguments(BaseModel, extra="forbid"):
    """What a configuration may say of the application."""

    settings: dict[str, str] = Field(
        {}, description="of the service, as its environment variables: STEEL_MODEL, ..."
    )


class ReplicaFailedError(Exception):
    """This replica cannot answer any more; Ray puts another in its place."""


@serve.deployment(
    # Below the service's own queue no replica refuses, and above it each answers 429 by itself. Ray's queue,
    # in the proxy, is for the moment in which all replicas are that full.
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
    """One process of the service.

    Args:
        settings: STEEL_* variables, before those of the environment.
    """

    def __init__(self, settings: dict[str, str]) -> None:
        os.environ.update(settings)
        self._settings = Settings()
        self._failures: list[Exception] = []
        self._engine: Engine | None = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application; Ray runs its lifespan on the loop that answers."""
        configure_logs(self._settings.log_level)
        app = create_app(self._settings, on_fatal=self._failures.append)
        app.add_middleware(OneRequestId)
        self._engine = app.state.engine
        return app

    async def check_health(self) -> None:
        """Return once strips can be answered: a replica gets none before.

        Raises:
            ReplicaFailedError: if only another replica can help.
        """
        engine = self._engine
        if engine is None:
            raise AssertionError("asked before the application was built")
        while (  # noqa: ASYNC110 - the engine announces no state
            not self._failures and engine.not_ready_reason is not None and not engine.draining
        ):
            await asyncio.sleep(_LOOK_SECONDS)
        if self._failures:
            raise ReplicaFailedError(str(self._failures[0]))


strips: serve.Deployment = Strips  # type: ignore[assignment]  # the decorator's type is the class's


def build(arguments: Arguments) -> serve.Application:
    """Build the application; ``import_path`` in a configuration names this."""
    return strips.bind(arguments.settings)
