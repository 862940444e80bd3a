"""The registry as values: entries, changesets, versions."""
