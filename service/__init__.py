"""HTTP service that finds defects on photographs of steel strip."""

import os

__version__ = "0.1.0"

# onnxruntime starts its telemetry when it is loaded, with an id and a database in the home directory, unless
# this is set first; disable_telemetry_events() comes too late for that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
