"""The benchmark: the service, its ceilings and its peers, measured side by side on one machine."""
