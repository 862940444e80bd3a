"""The root process: runs the tree, and heals it."""
