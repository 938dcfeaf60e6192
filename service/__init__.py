"""The HTTP service: strips in, defect masks out."""

__version__ = "0.1.0"
