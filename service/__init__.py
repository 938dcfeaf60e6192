"""The HTTP service: strips in, defect masks out."""

import os

__version__ = "0.1.0"

# Loading onnxruntime starts a reporter to its maker, with an id and a database in the home directory, unless
# this is set first; disable_telemetry_events() comes after that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
