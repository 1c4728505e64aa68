"""Drift: how far a window of values is from a reference, as pure functions over histograms."""
