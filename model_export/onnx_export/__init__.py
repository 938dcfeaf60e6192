"""Export of checkpoints to model files, checked against the network in torch."""
