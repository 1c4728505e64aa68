"""Trains the example's models on real flights. Offline only: no worker imports this."""
