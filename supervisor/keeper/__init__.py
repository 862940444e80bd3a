"""The keeper process: the only writer of the state environment."""
