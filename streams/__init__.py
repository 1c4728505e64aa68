"""The wiring: settings, topics, lane, settle, ledger, worker."""
