"""Predict image files: engine, queue, batches and pipelines."""
