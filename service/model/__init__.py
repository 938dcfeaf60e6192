"""The model file: its metadata, its session in onnxruntime, and what its outputs mean."""
