"""Judge a network: no sub-model dominates, the parts are diverse, it is nearly linear, a measurement agrees."""
