"""Pictures: arrays in, matplotlib figures and SVG out; knows nothing of studies or networks."""
