"""Expectation suites as Great Expectations writes them: read, checked and held here; who judges by them is above."""
