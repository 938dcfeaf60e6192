"""The report: an HTML page with the evidence for a model."""
