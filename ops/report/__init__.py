"""The report: what became of a flow's events, read from its topics alone, as one page with plots."""
