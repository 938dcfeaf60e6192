"""BentoML: a worker process per core.

Its documentation ("Parallelize requests handling") sets ``workers``, and each has one thread for a
synchronous API. The image is the body itself ("Root input"), as a file.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from bench.peers.settings import HOST, peer_settings
from bench.pipeline import open_pipeline


@bentoml.service(workers=peer_settings().workers, traffic={"timeout": 60})
class Strips:
    """One copy of the model in each worker."""

    def __init__(self) -> None:
        self.pipeline = open_pipeline(peer_settings().model, threads=1)

    @bentoml.api(route="/predict")
    def predict(self, image: Annotated[Path, ContentType("image/jpeg")], /) -> dict[str, Any]:
        """Predict a strip."""
        return self.pipeline.predict_json(image.read_bytes())


def main() -> None:
    """Replace this process by the server."""
    program = str(Path(sys.executable).parent / "bentoml")
    where = ["--host", HOST, "--port", str(peer_settings().port)]
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.execv(program, [program, "serve", "bench.peers.bentoml_server:Strips", *where])


if __name__ == "__main__":
    main()
