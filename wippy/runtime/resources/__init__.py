"""Connections of a process: what opens them, and who has them."""
