"""Time this package beside its peers: `python benchmarks/performance.py` says how."""
