"""Training, evaluation and export of the segmentation model."""

import os

# As in the service: onnxruntime is not to report anything, and reads this when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
