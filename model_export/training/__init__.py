"""The training loop with its configuration, data, losses and checkpoints."""
