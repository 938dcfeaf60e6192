"""How many replicas a line needs: plain arithmetic, nothing of it serves."""
