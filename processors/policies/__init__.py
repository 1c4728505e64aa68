"""Policies: their model, and the policy files shipped here."""
