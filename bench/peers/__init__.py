"""Peers: each module starts one server in its own environment, set up as its documentation advises."""
