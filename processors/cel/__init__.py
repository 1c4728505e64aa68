"""The Common Expression Language over Arrow columns: one meaning, two ways to compute it."""
