"""The events of the examples: real departures, and records that are meant to be wrong."""
