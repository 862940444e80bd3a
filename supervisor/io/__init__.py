"""Thin shells: one outside thing in each file."""
