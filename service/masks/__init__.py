"""Masks: codes, outlines, regions and images of them."""
