"""Lookups: keys made of columns, JSON objects read into columns, and a bounded cache of them."""
