"""Masks: their codes, their outlines, and pictures of them."""
