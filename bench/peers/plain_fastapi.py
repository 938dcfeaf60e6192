"""FastAPI with a plain function as route, as in its tutorial.

"Request Files" takes an ``UploadFile``, "Server Workers" starts a process per core. The function is a plain
``def``, so that FastAPI runs it on a thread.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, UploadFile

from bench.peers.settings import HOST, peer_settings
from bench.pipeline import open_pipeline


def create_app() -> FastAPI:
    """Build the application; each worker process calls this."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pipeline = open_pipeline(peer_settings().model, threads=1)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/predict")
    def predict(file: UploadFile) -> dict[str, Any]:
        answer: dict[str, Any] = app.state.pipeline.predict_json(file.file.read())
        return answer

    return app


def main() -> None:
    """Start the workers."""
    settings = peer_settings()
    uvicorn.run(
        f"{__spec__.name}:create_app",
        factory=True,
        host=HOST,
        port=settings.port,
        workers=settings.workers,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
