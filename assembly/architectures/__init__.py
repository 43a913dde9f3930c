"""Builders of assemblies: the common architectures of the theory, its counterexamples, and graphs of your own."""
