"""What `wippy-supervisor registry` does: reading, changing, and writing back into files."""
