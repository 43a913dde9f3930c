"""Infinite width: the Gaussian process that a network is at its initial parameters, and its tangent kernel's limit."""
