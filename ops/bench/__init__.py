"""Benchmarks: the same job, done by Weft and by others, side by side in one run."""
