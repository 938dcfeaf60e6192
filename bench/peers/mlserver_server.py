"""MLServer: a custom runtime, with ``parallel_workers`` processes.

Its documentation ("Custom Inference Runtimes", "Parallel Inference") derives from ``MLModel``. The image
comes as a BYTES tensor in base64, as its codecs write it; the answer goes out as a string that holds JSON.
"""

import json
import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.codecs.base64 import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.peers.settings import HOST, peer_settings
from bench.pipeline import open_pipeline


class StripRuntime(MLModel):
    """One copy of the model in each worker."""

    async def load(self) -> bool:
        """Load the model."""
        self.pipeline = open_pipeline(peer_settings().model, threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict a strip."""
        data = Base64Codec.decode_input(payload.inputs[0])[0]
        answer = json.dumps(self.pipeline.predict_json(data))
        output = StringCodec.encode_output("answer", [answer], use_bytes=False)
        return InferenceResponse(model_name=self.name, outputs=[output])


def main() -> None:
    """Write the settings that MLServer reads from a folder, and replace this process by the server."""
    settings = peer_settings()
    folder = Path.cwd()
    server = {
        "debug": False,
        "host": HOST,
        "http_port": settings.port,
        "grpc_port": settings.port + 1,
        "metrics_endpoint": None,
        "parallel_workers": settings.workers,
    }
    model = {"name": "strips", "implementation": "bench.peers.mlserver_server.StripRuntime"}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).parent / "mlserver")
    os.execv(program, [program, "start", str(folder)])


if __name__ == "__main__":
    main()
