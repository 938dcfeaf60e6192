"""The network and its initial weights."""
