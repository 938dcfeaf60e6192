"""Labelled strips: reading, drawing, splitting, augmentation."""
