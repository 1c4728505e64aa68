"""Hands a flow's results to other systems: sink files, and what runs them."""
