"""The HTTP API: routes, and how they read requests and build answers."""
