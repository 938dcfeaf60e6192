"""From checkpoints to model files, proven equal to the network in torch."""
