"""Redis (or Valkey): the only place that knows its client."""
