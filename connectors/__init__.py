"""The edges: Kafka, Redis and the rest of the outside, each behind a port and with its in-memory twin."""
