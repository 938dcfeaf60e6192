"""Labelled strips: read, drawn, split, augmented."""
