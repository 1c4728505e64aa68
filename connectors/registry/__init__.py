"""The schema registry by URL: a client of the REST API of Confluent's, and a twin of that API for tests."""
