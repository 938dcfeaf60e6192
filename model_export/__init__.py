"""Training, evaluation and export of the segmentation model."""

import os

# As in the service: turn onnxruntime's telemetry off; it reads this variable when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
