"""The connections of a program, bound to ranges of nodes: every pass over the weights goes through one of these."""
