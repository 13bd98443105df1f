"""Training: the state, the loop and its checkpoints."""
