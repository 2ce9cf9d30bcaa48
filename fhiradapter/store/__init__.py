"""Stores: where tables wait, and where they stay."""
