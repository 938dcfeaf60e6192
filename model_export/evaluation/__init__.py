"""What a model answers on labelled strips: scores, calibration, operating points."""
