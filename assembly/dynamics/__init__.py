"""Training: gradient descent and its relatives, the models beside the network, and what is recorded along the path."""
