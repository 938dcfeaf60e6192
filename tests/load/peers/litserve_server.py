"""LitServe: a worker process per core, without batches.

Its documentation ("Autoscaling") starts ``workers_per_device`` copies of the model. Batches are advised where a
device runs them faster than strip by strip, which a CPU does not. A file comes as a form, as in its examples.
"""

import litserve
from starlette.datastructures import FormData

from tests.load.peers.settings import HOST, peer_settings
from tests.load.pipeline import open_pipeline


class StripApi(litserve.LitAPI):
    """One copy of the model in each worker."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.pipeline = open_pipeline(peer_settings().model, threads=1)

    def decode_request(self, request: FormData) -> bytes:
        """Take the file of a form."""
        data: bytes = request["file"].file.read()  # type: ignore[union-attr]  # a file, not text
        return data

    def predict(self, data: bytes) -> dict[str, object]:
        """Answer a strip."""
        return self.pipeline.answer_json(data)

    def encode_response(self, output: dict[str, object]) -> dict[str, object]:
        """Answer as it is."""
        return output


def main() -> None:
    """Start the server."""
    settings = peer_settings()
    server = litserve.LitServer(StripApi(), accelerator="cpu", workers_per_device=settings.workers)
    server.run(host=HOST, port=settings.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
