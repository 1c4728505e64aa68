"""Spans on their way out: to a file, or to a collector."""
