"""The network, and weights that it can start from."""
