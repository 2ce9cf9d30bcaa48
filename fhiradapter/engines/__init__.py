"""Engines: where mapping runs."""
