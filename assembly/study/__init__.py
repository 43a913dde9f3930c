"""Repeat a measurement over widths and seeds, keep the results, fit exponents, judge claims, write a report."""
