"""Hostile input: images, requests and connections."""
