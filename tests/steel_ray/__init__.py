"""Replicas under Ray Serve, on a cluster within this machine."""
