"""Decode image files into grey pixels."""
