"""The explorer: assemblies simulated interactively, in the browser and in a notebook."""
