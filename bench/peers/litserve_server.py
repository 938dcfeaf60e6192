"""LitServe: a worker process per core, without batches.

Its documentation ("Autoscaling") starts ``workers_per_device`` copies of the model. It advises batches
where a device runs them faster than strip by strip, which a CPU does not. A file comes as multipart form, as
in the examples.
"""

import litserve

from bench.peers.settings import HOST, peer_settings
from bench.pipeline import open_pipeline


class StripApi(litserve.LitAPI):
    """One copy of the model in each worker."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.pipeline = open_pipeline(peer_settings().model, threads=1)

    # LitServe passes the annotations of these two methods to FastAPI; its examples have none.
    def decode_request(self, request):  # type: ignore[no-untyped-def]  # as LitServe has it
        """Read the file of the form."""
        return request["file"].file.read()

    def predict(self, data: bytes) -> dict[str, object]:
        """Predict a strip."""
        return self.pipeline.predict_json(data)

    def encode_response(self, output):  # type: ignore[no-untyped-def]  # as LitServe has it
        """Return the output unchanged."""
        return output


def main() -> None:
    """Start the server."""
    settings = peer_settings()
    server = litserve.LitServer(StripApi(), accelerator="cpu", workers_per_device=settings.workers)
    server.run(host=HOST, port=settings.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
