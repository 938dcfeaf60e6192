"""The model file: its metadata, its session in onnxruntime, and the postprocessing of its outputs."""
