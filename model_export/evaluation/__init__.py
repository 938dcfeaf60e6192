"""Evaluation on labelled strips: scores, calibration, operating points."""
