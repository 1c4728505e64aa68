"""The audit: proves the promise from the topics alone, gives receipts, finds decisions."""
