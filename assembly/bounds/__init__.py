"""Curvature, remainder and kernel change over a ball of parameters: bounded from above, attained from below."""
