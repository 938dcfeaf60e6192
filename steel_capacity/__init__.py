"""Capacity calculator: how many replicas of the service a line needs."""
