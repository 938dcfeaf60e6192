"""mosec: one stage with a worker process per core.

Its documentation splits work into stages that use different devices; here everything runs on the same cores,
and a second stage would send every strip through another process. The body is the image itself.
"""

import sys

from mosec import Server, Worker

from bench.peers.settings import HOST, peer_settings
from bench.pipeline import open_pipeline


class StripWorker(Worker):
    """One copy of the model in each worker."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = open_pipeline(peer_settings().model, threads=1)

    def deserialize(self, data: bytes) -> bytes:
        """Return the body unchanged."""
        return data

    def forward(self, data: bytes) -> dict[str, object]:
        """Predict a strip; the result is sent as JSON."""
        return self.pipeline.predict_json(data)


def main() -> None:
    """Start the server."""
    settings = peer_settings()
    # mosec reads its options from the command line only.
    sys.argv[1:] = ["--address", HOST, "--port", str(settings.port), "--timeout", "60000"]
    server = Server()
    server.append_worker(StripWorker, num=settings.workers, route="/predict")
    server.run()


if __name__ == "__main__":
    main()
