"""The service as replicas of a Ray Serve application."""
