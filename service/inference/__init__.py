"""From image files to predictions: engine, queue, batches and pipelines."""
