"""Codecs: between bytes and Arrow columns, and between bytes and single datums."""
